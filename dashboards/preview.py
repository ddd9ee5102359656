"""A dashboard as a file that any browser opens, drawn from a running Prometheus, without a Grafana server.

Where Grafana's published front-end packages were built (`make preview` does it, with npm), their components draw units,
thresholds, mappings and overrides; else `dashboards.drawing` makes a plain picture and says so.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.drawing import draw
from dashboards.numbers import Numbers

APP = Path(__file__).parent / "preview_app"


def answers(board: Mapping[str, Any], numbers: Numbers) -> dict[str, list[dict[str, Any]]]:
    """Return what Prometheus answers to every panel of a dashboard, by the panel's id."""
    found = {}
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        found[str(panel["id"])] = [_answer(target, place, numbers) for place, target in enumerate(panel["targets"])]
    return found


def _answer(target: Mapping[str, Any], place: int, numbers: Numbers) -> dict[str, Any]:
    instant = bool(target.get("instant"))
    result = numbers.now(target["expr"]) if instant else numbers.over_time(target["expr"])
    return {
        "refId": target.get("refId") or chr(ord("A") + place),
        "legend": target.get("legendFormat", ""),
        "format": target.get("format", "time_series"),
        "instant": instant,
        "result": result,
    }


def preview(board: Mapping[str, Any], numbers: Numbers, built: Path, *, dark: bool = False) -> str:
    """Return one dashboard as one HTML page.

    Args:
        board: Its JSON.
        numbers: The Prometheus to ask, and the time shown.
        built: Folder with ``preview.js`` and ``preview.css`` from `make preview`; it need not be there.
        dark: Whether to draw light on dark; only Grafana's components do.
    """
    script, style = built / "preview.js", built / "preview.css"
    if not script.exists():
        return draw(board, numbers)
    span = {"begin": numbers.span.begin, "end": numbers.span.end, "step_s": numbers.span.step_s}
    handed = {"board": board, "span": span, "answers": answers(board, numbers), "dark": dark}
    data = json.dumps(handed).replace("</", "<\\/")
    code = script.read_text(encoding="utf-8").replace("</script", "<\\/script")
    css = style.read_text(encoding="utf-8") if style.exists() else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{css}</style><body><div id="root"></div>'
        f"<script>window.PREVIEW = {data};</script><script>{code}</script></body></html>"
    )
