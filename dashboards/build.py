"""Write the committed Grafana JSON anew: ``python -m dashboards.build``."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.overview import overview

HOME = Path(__file__).parent


def built() -> dict[Path, str]:
    """Return the text of every dashboard by the file it belongs in; equal code gives equal bytes."""
    text = json.dumps(overview().build(), cls=JSONEncoder, indent=2, sort_keys=True)
    return {HOME / "overview.json": text + "\n"}


def main() -> None:
    """Write every dashboard beside this file."""
    for path, text in built().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
