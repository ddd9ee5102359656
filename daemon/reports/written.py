"""A report as one HTML file that needs nothing else: style and figures inside, no network, no script."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from daemon.reports import figures, more_figures
from daemon.reports.canvas import style
from daemon.templating import strict_templates

TEMPLATES = strict_templates()
BEHIND = ("fill", "verdict", "headline", "budget", "compared", "inside", "maps", "outcomes")
"""What machines find in the file: the numbers behind the figures that matter most."""
TONES = {"quiet": "good", "broken_detector": "bad", "contract": "bad"}


def written(content: Mapping[str, Any]) -> bytes:
    """Return the whole HTML of a report: equal contents are equal bytes."""
    with style():
        pictures = {
            "glance": figures.glance(content),
            "machine": figures.machine(content) if content["lumisections"] else None,
            "maps": figures.maps(content) if content["maps"] else None,
            "pulls": figures.pulls(content) if content["compared"] else None,
            "scores": more_figures.scores(content),
            "rates": more_figures.rates(content),
        }
    shown = {name: None if one is None else _embedded(one) for name, one in pictures.items()}
    text = TEMPLATES.get_template("fill_report.html").render(
        c=content, tone=TONES.get(content["verdict"], "warn"), pictures=shown, behind=_behind(content)
    )
    return text.encode()


def _embedded(picture: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture).decode("ascii")


def _behind(content: Mapping[str, Any]) -> Markup:
    """Return the numbers behind the figures as JSON that cannot end its own element."""
    lead = content["lead"]
    told = None if lead is None else {name: lead.get(name) for name in ("id", "onset", "box", "run", "lumisection")}
    rows = [
        {name: row.get(name) for name in ("run", "lumisection", "log_evidence", "state", "result")}
        for row in content["lumisections"]
    ]
    tree = {name: content[name] for name in BEHIND} | {"lead": told, "lumisections": rows}
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  # JSON without a bracket that HTML would read
