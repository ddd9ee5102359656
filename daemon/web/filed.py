"""The reports of fills, listed and given out as they were made."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from daemon import reports
from daemon.errors import RefusedError, ReportError
from daemon.web.doors import Visitor
from daemon.web.render import page, trouble

router = APIRouter()


@router.get("/reports")
def report_list(request: Request, visitor: Visitor) -> HTMLResponse:
    """List every report, and every fill whose report failed."""
    found = reports.listed(visitor.office.ledger, visitor.office.stream)
    return page(request, "reports.html", now=visitor.now, session=visitor.session, reports=found)


@router.get("/reports/{fill}")
def report(request: Request, fill: int, visitor: Visitor) -> Response:
    """Give out the report of a fill after checking its digest.

    Raises:
        RefusedError: There is none.
    """
    folder: Path | None = getattr(request.app.state, "reports", None)
    if folder is None:
        raise RefusedError("this page was started without a folder of reports; `retrigger report` reads them")
    office = visitor.office
    try:
        _, content = reports.read(office.ledger, folder, office.stream, fill)
    except ReportError as error:
        remedy = "Do not trust a copy. Tell the ML expert; the verdict itself stands in the record."
        return trouble(request, 410, "The report is not the one that was made", str(error), remedy, visitor.session)
    return HTMLResponse(content)
