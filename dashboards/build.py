"""Write the committed Grafana JSON anew: ``python -m dashboards.build``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.committed import BOARDS
from dashboards.coordinator import coordinator
from dashboards.drifting import drifting
from dashboards.governance import governance
from dashboards.integrity import integrity
from dashboards.now import now
from dashboards.provisioned import ALERTING, alerting
from dashboards.rivals import rivals
from dashboards.service import service

ALL = {
    "now": now,
    "coordinator": coordinator,
    "drift": drifting,
    "rivals": rivals,
    "integrity": integrity,
    "governance": governance,
    "daemon": service,
}
PUSHED: Mapping[str, Any] = {
    "name": "Told by retrigger",
    "enable": True,
    "iconColor": "purple",
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "target": {"type": "tags", "tags": ["retrigger"], "matchAny": False, "limit": 200},
}
"""What `retrigger` pushes as annotations: they name run, lumisection and person, which no metric may."""


def built() -> dict[Path, str]:
    """Return the text of every dashboard and of the alert rules, by file; equal code gives equal bytes."""
    files = {BOARDS / f"{name}.json": _text(make()) for name, make in ALL.items()}
    files[ALERTING] = json.dumps(alerting(), indent=2, sort_keys=True) + "\n"
    return files


def _text(made: Any) -> str:
    tree = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    tree["annotations"]["list"].append(dict(PUSHED))
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write every dashboard beside this file."""
    BOARDS.mkdir(exist_ok=True)
    for path, text in built().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
