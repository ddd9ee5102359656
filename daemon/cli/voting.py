"""Verbs that decide on a candidate, here or elsewhere: approve and reject, and the rarer words."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.app import app
from daemon.cli.desk import PlainHttp, Server, Word, desk
from daemon.cli.identity import KeyFile, Me, PasswordStdin
from daemon.cli.looking import CandidateId
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.service import Reason
from daemon.cli.words import report
from daemon.errors import RefusedError
from daemon.lifecycle.candidate import ON_BOARD, Phase

Code = Annotated[str, typer.Option(help="The short code of what you saw: `retrigger show` and the page give it.")]


@app.command()
def approve(
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    key: KeyFile = None,
    role: Annotated[str, typer.Option(help="The role to approve in; left out: the first one still missing.")] = "",
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Approve exactly the request that is open now."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="approve", candidate=candidate_id, reason=reason, code=code, role=role, key=key)
        report(at, at.say(word), json=json)


@app.command()
def reject(
    candidate_id: CandidateId,
    *,
    klass: Annotated[str, typer.Option("--class", help="physics, rate, hardware, evidence, timing, drill or other")],
    code: Code,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Reject the request that is open now; the candidate ends."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="reject", candidate=candidate_id, reason=reason, code=code, klass=klass)
        report(at, at.say(word), json=json)


@app.command()
def waive(
    candidate_id: CandidateId,
    *,
    gate: Annotated[str, typer.Option(help="The inconclusive gate, as `retrigger show` names it.")],
    code: Code,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    key: KeyFile = None,
    hours: Annotated[float, typer.Option(min=0.1, help="How long the waiver stands.")] = 24.0,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Let an inconclusive gate count as passed; it takes two people, and a failed gate has no waiver."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="waive", candidate=candidate_id, reason=reason, code=code, gate=gate, hours=hours, key=key)
        report(at, at.say(word), json=json)


@app.command()
def confirm(
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Say for the second time that what is in shadow may go live."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="confirm", candidate=candidate_id, reason=reason, code=code, key=key)
        report(at, at.say(word), json=json)


@app.command("break-glass")
def break_glass(
    candidate_id: CandidateId,
    *,
    code: Code,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Write the open request now, in mid fill, for one fill; it takes two people, and a review within a day."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="break-glass", candidate=candidate_id, reason=reason, code=code, key=key)
        report(at, at.say(word), json=json)


@app.command()
def review(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Say what was found on why the glass was broken; nothing goes forward while this is overdue."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="review", candidate=candidate_id, reason=reason)
        report(at, at.say(word), json=json)


@app.command()
def revoke(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Take your approval back, while the board is unwritten; the request ends."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        word = Word(says="revoke", candidate=candidate_id, reason=reason)
        report(at, at.say(word), json=json)


@app.command()
def rollback(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Ask for the digest that ran before; always allowed, the daemon does it in its next turn."""
    with desk(config_file, server, plain_http=plain_http, person=person, password_stdin=password_stdin) as at:
        on_board = [one for one in at.rows() if one.phase in {str(phase) for phase in ON_BOARD | {Phase.DEPLOYING}}]
        if not on_board:
            raise RefusedError("no candidate is on the board, so there is nothing to roll back")
        report(at, at.say(Word(says="rollback", candidate=on_board[-1].id, reason=reason)), json=json)
