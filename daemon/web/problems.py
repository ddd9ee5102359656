"""Errors for programs: RFC 9457 `application/problem+json`."""

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from daemon.errors import LoginRefusedError, StalePageError

TITLES = {412: "The request changed", 403: "Not you, or not now", 409: "Refused by the rules"}


class Problem(BaseModel):
    """What went wrong, for a program and its reader."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """Return a problem document."""
    body = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def refusal(error: Exception) -> JSONResponse:
    """Return a refusal of the rules, or of a person, as a problem."""
    status = status_of(error)
    return problem(status, TITLES[status], str(error))


def status_of(error: Exception) -> int:
    """Return the HTTP status of a refusal: 412 for a stale page, 403 for a person, 409 for the rules."""
    if isinstance(error, StalePageError):
        return 412
    return 403 if isinstance(error, LoginRefusedError) else 409


def wants_json(request: Request) -> bool:
    """Return whether an error should be told as JSON."""
    return request.url.path.startswith("/api/")
