"""A write that is sent twice under one `Idempotency-Key` is done once, and answered twice alike.

The key belongs to the person; the same key with another request is refused (422).  What is compared leaves out what
shows who is there (password, assertion, signature), so that no trace of a password is kept.  Kept is what was recorded,
and that a page was stale.  A refusal of the rules is not: it recorded nothing, and time, another person or a free
ledger may heal it, so that the same request is worked out anew.

References:
    IETF draft-ietf-httpapi-idempotency-key-header-07, §2.
"""

import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from daemon.errors import LedgerError
from daemon.web.doors import Visit
from daemon.web.problems import problem
from retrain.digest import digest_of

log = logging.getLogger("retrigger.web")
KeyHeader = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
PROOFS = frozenset({"password", "assertion", "credential", "signature", "expires_at"})
"""What shows who speaks, and the end of a signed waiver, which is that of its hours."""
FINAL = frozenset({200, 201, 202, 204, 412})
ASK_AGAIN_S = 1


def once(visitor: Visit, key: str, what: str, body: BaseModel | None, do: Callable[[], Response]) -> Response:
    """Return the answer to a write, worked out once for each key.

    Args:
        visitor: Whose key it is.
        key: As the client chose it; empty works the answer out at every call.
        what: Method, path and If-Match.
        body: What was sent.
        do: Works the answer out.
    """
    if not key:
        return do()
    rows, person = visitor.office.ledger.doors, visitor.person.name
    sent: dict[str, Any] = body.model_dump(exclude=set(PROOFS)) if body else {}
    asked = digest_of([what, sent])
    kept = rows.keep(person, key, asked, visitor.now)
    if kept is not None and kept.asked != asked:
        return problem(422, "The key was used for something else", f"Idempotency-Key {key!r}: take a new one")
    if kept is not None and kept.status is None:
        waits = problem(409, "It is under way", f"the first request with Idempotency-Key {key!r} is not answered yet")
        waits.headers["retry-after"] = str(ASK_AGAIN_S)
        return waits
    if kept is not None and kept.status is not None:
        return _again(kept.status, kept.body)
    status = None
    try:
        answer = do()
        status = answer.status_code if answer.status_code in FINAL else None
    finally:  # a request that broke or was refused is forgotten, so that it can be tried again
        if status is None:
            rows.answered(person, key, None)
    if status is not None:
        try:
            rows.answered(person, key, status, _kept(answer))
        except LedgerError as error:  # what was recorded is told all the same
            log.warning("the answer to %s of %s is told, and not kept: %s", what, person, error)
    return answer


def _kept(answer: Response) -> str:
    headers = {name: answer.headers[name] for name in ("content-type", "etag") if name in answer.headers}
    return json.dumps({"headers": headers, "content": bytes(answer.body).decode()})


def _again(status: int, text: str) -> Response:
    kept = json.loads(text)
    return JSONResponse(
        json.loads(kept["content"] or "null"),
        status_code=status,
        headers={**kept["headers"], "idempotent-replayed": "true"},
    )
