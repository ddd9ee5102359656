"""An explanation as one file that needs nothing else: style and pictures inside, no network, no script."""

import json
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from daemon.output import writing
from daemon.web.explained import Document
from daemon.web.render import TEMPLATES


def static_page(told: Document) -> str:
    """Return the whole HTML page of an explanation."""
    style = files("daemon").joinpath("static", "page.css").read_text(encoding="utf-8")
    return TEMPLATES.get_template("explained_file.html").render(
        d=told,
        style=Markup(style),  # noqa: S704  # our own style sheet
    )


def write_beside(path: Path) -> Path:
    """Write the page of a kept explanation (JSON) beside it and return where.

    Raises:
        SetupError: It cannot be written.
    """
    page = path.with_suffix(".html")
    content = static_page(json.loads(path.read_bytes())).encode()
    with writing(page, "the page of its explanation") as sink:
        sink.write(content)
    return page
