"""Verbs of the rarer decisions: waive, confirm, break the glass, review it, take an approval back; and the freeze."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from daemon import config, decisions, rarer_decisions
from daemon.assemble import parts, utc_now
from daemon.cli.app import app
from daemon.cli.identity import KeyFile, Me, PasswordStdin, authenticate
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.service import CandidateId, Reason, find, open_request, report, switch, voice
from daemon.lifecycle import Candidate
from daemon.lifecycle import facts as f


def _deciding(
    config_file: Path,
    candidate_id: str,
    person: str,
    password_stdin: bool,
    json: bool,
    reason: str,
    decide: Callable[[decisions.Voice, Candidate], Candidate],
    key: Path | None = None,
) -> None:
    """Authenticate, find the candidate, decide, and say how it stands."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        found = find(ready, candidate_id)
        report(ready, decide(voice(ready, me, candidate_id, reason, key), found), json=json)


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

    def say(said: decisions.Voice, found: Candidate) -> Candidate:
        evidence = found.gates.evidence_root if found.gates else ""
        return rarer_decisions.waive(said, gate=gate, evidence_root=evidence, hours=hours)

    _deciding(config_file, candidate_id, person, password_stdin, json, reason, say, key)


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

    def say(said: decisions.Voice, found: Candidate) -> Candidate:
        return rarer_decisions.confirm(said, request_id=open_request(found))

    _deciding(config_file, candidate_id, person, password_stdin, json, reason, say, key)


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

    def say(said: decisions.Voice, found: Candidate) -> Candidate:
        return rarer_decisions.break_glass(said, request_id=open_request(found))

    _deciding(config_file, candidate_id, person, password_stdin, json, reason, say, key)


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

    def say(said: decisions.Voice, _: Candidate) -> Candidate:
        return rarer_decisions.review(said)

    _deciding(config_file, candidate_id, person, password_stdin, json, reason, say)


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

    def say(said: decisions.Voice, found: Candidate) -> Candidate:
        return decisions.revoke(said, request_id=open_request(found))

    _deciding(config_file, candidate_id, person, password_stdin, json, reason, say)


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
