"""Verbs of the rarer decisions: waive, confirm, break the glass, review it, take an approval back; and the freeze."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from daemon import config, decisions, rarer_decisions
from daemon.assemble import Parts, parts, utc_now
from daemon.cli.app import app
from daemon.cli.identity import KeyFile, Me, PasswordStdin, authenticate, signer
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.service import CandidateId, Reason, find, report, switch
from daemon.lifecycle import Candidate
from daemon.lifecycle import facts as f
from daemon.people import Person


def _deciding(
    config_file: Path,
    candidate_id: str,
    person: str,
    password_stdin: bool,
    json: bool,
    decide: Callable[[Parts, Person, Candidate, str], Candidate],
) -> None:
    """Authenticate, find the candidate and its open request, decide, and say how it stands."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        found = find(ready, candidate_id)
        request = found.request.request_id if found.request else ""
        report(ready, decide(ready, me, found, request), json=json)


@app.command()
def waive(
    candidate_id: CandidateId,
    *,
    gate: Annotated[str, typer.Option(help="The inconclusive gate, as `retrigger show` names it.")],
    reason: Reason,
    hours: Annotated[float, typer.Option(min=0.1, help="How long the waiver stands.")] = 24.0,
    config_file: ConfigFile = Path("retrigger.toml"),
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Let an inconclusive gate count as passed; it takes two people, and a failed gate has no waiver."""

    def say(ready: Parts, me: Person, found: Candidate, _: str) -> Candidate:
        return rarer_decisions.waive(
            ready.ledger,
            ready.sight,
            ready.policy,
            candidate_id=candidate_id,
            gate=gate,
            evidence_root=found.gates.evidence_root if found.gates else "",
            person=me.name,
            reason=reason,
            hours=hours,
            now=utc_now(),
            sign=signer(key),
        )

    _deciding(config_file, candidate_id, person, password_stdin, json, say)


@app.command()
def confirm(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Say for the second time that what is in shadow may go live."""

    def say(ready: Parts, me: Person, _: Candidate, request: str) -> Candidate:
        return rarer_decisions.confirm(
            ready.ledger,
            ready.sight,
            ready.policy,
            candidate_id=candidate_id,
            request_id=request,
            person=me.name,
            reason=reason,
            now=utc_now(),
            sign=signer(key),
        )

    _deciding(config_file, candidate_id, person, password_stdin, json, say)


@app.command("break-glass")
def break_glass(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Write the open request now, in mid fill, for one fill; it takes two people, and a review within a day."""

    def say(ready: Parts, me: Person, _: Candidate, request: str) -> Candidate:
        return rarer_decisions.break_glass(
            ready.ledger,
            ready.sight,
            ready.policy,
            candidate_id=candidate_id,
            request_id=request,
            person=me.name,
            reason=reason,
            now=utc_now(),
            sign=signer(key),
        )

    _deciding(config_file, candidate_id, person, password_stdin, json, say)


@app.command()
def review(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Say what was found on why the glass was broken; nothing goes forward while this is overdue."""

    def say(ready: Parts, me: Person, _: Candidate, __: str) -> Candidate:
        return rarer_decisions.review(
            ready.ledger,
            ready.sight,
            ready.policy,
            candidate_id=candidate_id,
            person=me.name,
            reason=reason,
            now=utc_now(),
        )

    _deciding(config_file, candidate_id, person, password_stdin, json, say)


@app.command()
def revoke(
    candidate_id: CandidateId,
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Take your approval back, while the board is unwritten; the request ends."""

    def say(ready: Parts, me: Person, _: Candidate, request: str) -> Candidate:
        return decisions.revoke(
            ready.ledger,
            ready.sight,
            candidate_id=candidate_id,
            request_id=request,
            person=me.name,
            reason=reason,
            now=utc_now(),
        )

    _deciding(config_file, candidate_id, person, password_stdin, json, say)


@app.command()
def freeze(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Forbid every write forward; watching and training go on, and going back is always allowed."""
    switch(
        config_file, person, password_stdin, json, lambda name: f.FreezeStarted(at=utc_now(), actor=name, reason=reason)
    )


@app.command()
def unfreeze(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Allow deployments again."""
    switch(
        config_file, person, password_stdin, json, lambda name: f.FreezeEnded(at=utc_now(), actor=name, reason=reason)
    )
