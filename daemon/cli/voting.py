"""Verbs that decide on a candidate, here or elsewhere: approve and reject, and the rarer words."""

from typing import Annotated

import typer

from daemon.cli.app import app
from daemon.cli.desk import Desk, Word, at_a_desk
from daemon.cli.identity import KeyFile
from daemon.cli.looking import CandidateId
from daemon.cli.offline import Json
from daemon.cli.service import Reason
from daemon.cli.words import report
from daemon.errors import RefusedError
from daemon.lifecycle.candidate import ON_BOARD, Phase

Code = Annotated[str, typer.Option(help="The short code of what you saw: `retrigger show` and the page give it.")]


@app.command()
@at_a_desk
def approve(
    at: Desk,
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    key: KeyFile = None,
    role: Annotated[str, typer.Option(help="The role to approve in; left out: the first one still missing.")] = "",
    json: Json = False,
) -> None:
    """Approve exactly the request that is open now."""
    word = Word(says="approve", candidate=candidate_id, reason=reason, code=code, role=role, key=key)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def reject(
    at: Desk,
    candidate_id: CandidateId,
    *,
    klass: Annotated[str, typer.Option("--class", help="physics, rate, hardware, evidence, timing, drill or other")],
    code: Code,
    reason: Reason,
    json: Json = False,
) -> None:
    """Reject the request that is open now; the candidate ends."""
    word = Word(says="reject", candidate=candidate_id, reason=reason, code=code, klass=klass)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def waive(
    at: Desk,
    candidate_id: CandidateId,
    *,
    gate: Annotated[str, typer.Option(help="The inconclusive gate, as `retrigger show` names it.")],
    code: Code,
    reason: Reason,
    key: KeyFile = None,
    hours: Annotated[float, typer.Option(min=0.1, help="How long the waiver stands.")] = 24.0,
    json: Json = False,
) -> None:
    """Let an inconclusive gate count as passed; it takes two people, and a failed gate has no waiver."""
    word = Word(says="waive", candidate=candidate_id, reason=reason, code=code, gate=gate, hours=hours, key=key)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def confirm(
    at: Desk,
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    key: KeyFile = None,
    json: Json = False,
) -> None:
    """Say for the second time that what is in shadow may go live."""
    word = Word(says="confirm", candidate=candidate_id, reason=reason, code=code, key=key)
    report(at, at.say(word), json=json)


@app.command("break-glass")
@at_a_desk
def break_glass(
    at: Desk,
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    key: KeyFile = None,
    json: Json = False,
) -> None:
    """Write the open request now, in mid fill, for one fill; it takes two people, and a review within a day."""
    word = Word(says="break-glass", candidate=candidate_id, reason=reason, code=code, key=key)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def review(
    at: Desk,
    candidate_id: CandidateId,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Say what was found on why the glass was broken; nothing goes forward while this is overdue."""
    word = Word(says="review", candidate=candidate_id, reason=reason)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def revoke(
    at: Desk,
    candidate_id: CandidateId,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Take your approval back, while the board is unwritten; the request ends."""
    word = Word(says="revoke", candidate=candidate_id, reason=reason)
    report(at, at.say(word), json=json)


@app.command()
@at_a_desk
def rollback(
    at: Desk,
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    """Ask for the digest that ran before; always allowed, the daemon does it in its next turn."""
    on_board = [one for one in at.rows() if one.phase in {str(phase) for phase in ON_BOARD | {Phase.DEPLOYING}}]
    if not on_board:
        raise RefusedError("no candidate is on the board, so there is nothing to roll back")
    report(at, at.say(Word(says="rollback", candidate=on_board[-1].id, reason=reason)), json=json)
