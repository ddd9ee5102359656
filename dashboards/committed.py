"""The dashboards as they are committed, in the order people open them; reading them needs no library."""

import json
from pathlib import Path
from typing import Any

BOARDS = Path(__file__).parent / "boards"
ORDER = ("now", "coordinator", "drift", "rivals", "integrity", "governance", "daemon")


def boards() -> list[dict[str, Any]]:
    """Return every committed dashboard."""
    return [json.loads((BOARDS / f"{name}.json").read_text(encoding="utf-8")) for name in ORDER]
