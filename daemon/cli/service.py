"""Verbs that act on a ledger: run the daemon, ask for a candidate, decide on one, stop and go."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon import config, decisions
from daemon.assemble import Parts, log_to_stderr, parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import KeyFile, Me, PasswordStdin, authenticate, signer
from daemon.cli.offline import ConfigFile, Json
from daemon.cli.words import candidate_rows, candidate_story
from daemon.errors import ConfigurationError, RefusedError, UnfinishedError
from daemon.lifecycle import Candidate, Phase, open_faults
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import IN_FLIGHT, ON_BOARD
from daemon.people import Person

Reason = Annotated[str, typer.Option("--reason", help="One sentence; it goes into the record.")]
CandidateId = Annotated[str, typer.Argument(metavar="ID", help="A candidate, such as c-0042.")]


@app.command()
def run(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    once: Annotated[
        bool, typer.Option("--once", help="Return when nothing is left to do: 0 all taken, 1 files wait, 2 it failed.")
    ] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Also start the approval page.")] = True,
    reports: Annotated[
        bool, typer.Option("--reports/--no-reports", help="Make the report of each fill that is over.")
    ] = True,
    json: Json = False,  # noqa: ARG001 every verb has it; the log of this one goes to standard error
) -> None:
    """Run the daemon until it is told to stop."""
    from daemon import reconcile  # noqa: PLC0415 the loop's libraries are paid for by this verb alone

    log_to_stderr()
    settings = config.load(config_file)
    if problems := config.unready(settings):
        raise ConfigurationError(f"{config_file}: {'; '.join(problems)}")
    with parts(settings) as ready, _page(config_file, wanted=page and bool(settings.web.listen) and not once):
        ending = reconcile.run(ready, until_idle=once, reports=reports)
    if once and ending.trouble:
        raise UnfinishedError(f"in trouble: {ending.trouble}")
    if once and ending.waiting:
        say.complaint(f"{ending.waiting} file(s) wait: {ending.reason}")
        raise typer.Exit(say.BAD_VERDICT)


@contextmanager
def _page(config_file: Path, *, wanted: bool) -> Iterator[None]:
    """Run the page beside the loop; its end is not ours, ours is its."""
    if not wanted:
        yield
        return
    child = subprocess.Popen([sys.executable, "-m", "daemon", "web", "--config", str(config_file), "--with-parent"])
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()


@app.command()
def web(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    json: Json = False,  # noqa: ARG001 every verb has it; the log of this one goes to standard error
) -> None:
    """Serve the approval page alone."""
    from daemon.web.page import serve  # noqa: PLC0415 the web framework is paid for by this verb alone

    log_to_stderr()
    settings = config.load(config_file)
    with parts(settings) as ready:
        serve(ready, with_parent=with_parent)


@app.command()
def train(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    reason: Reason,
    action: Annotated[
        Literal["weights", "threshold"],
        typer.Option(help="weights: a new network; threshold: keep the champion's and derive only where to cut."),
    ] = "weights",
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Ask for a candidate now; the running daemon trains it."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        now = utc_now()
        asked = {"trigger": "manual", "initiator": me.name, "reason": reason, "action": action}
        ready.ledger.add_work("train", now, asked)
    if json:
        say.machine({"type": "asked", "by": me.name, "reason": reason, "action": action})
    else:
        say.words("Asked.  The daemon answers in its next turn: retrigger candidates")


@app.command()
def candidates(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """List every candidate and its phase."""
    with parts(config.load(config_file)) as ready:
        found = ready.sight.candidates()
        if json:
            for one in found:
                say.machine(candidate_story(ready, one))
            return
        if not found:
            say.words("No candidate yet.  A real shift, the schedule, or `retrigger train` asks for one.")
            return
        say.table("candidates", ["id", "phase", "why", "bundle", "open"], candidate_rows(found))


def find(ready: Parts, candidate_id: str) -> Candidate:
    """Return one candidate by its id.

    Raises:
        RefusedError: There is none.
    """
    for one in ready.sight.candidates():
        if one.id == candidate_id:
            return one
    raise RefusedError(f"there is no candidate {candidate_id!r}; `retrigger candidates` lists them")


@app.command()
def show(candidate_id: CandidateId, *, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Show one candidate: what speaks against it first, then what it rests on."""
    with parts(config.load(config_file)) as ready:
        story = candidate_story(ready, find(ready, candidate_id))
    if json:
        say.machine(story)
        return
    say.words(f"{story['id']} for {story['slot']}: {story['phase']}.  {story['next']}")
    for against in story["against"]:
        say.words(f"  AGAINST  {against}")
    say.words(f"  why      {story['trigger']}: {story['reason']}")
    for gate in story["gates"]:
        say.words(f"  gate {gate['number']:2d}  {gate['verdict']:12s} {gate['name']}: {gate['summary']}")
    if story["bundle"]:
        say.words(f"  bundle   {story['bundle']}")
        say.words(f"  runs now {story['running'] or 'nothing readable'}")
    for approval in story["approvals"]:
        say.words(f"  yes      {approval['person']} as {approval['role']}: {approval['reason']}")
    if story["code"]:
        say.words(f'  to approve: retrigger approve {story["id"]} --code {story["code"]} --reason "…" --person you')


@app.command()
def approve(
    candidate_id: CandidateId,
    *,
    code: Annotated[str, typer.Option(help="The short code that `retrigger show` and the page give.")],
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    role: Annotated[str, typer.Option(help="The role to approve in; left out: the first one still missing.")] = "",
    key: KeyFile = None,
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Approve exactly the request that is open now."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        open_one = find(ready, candidate_id)
        said = voice(ready, me, candidate_id, reason, key)
        after = decisions.approve(said, request_id=open_request(open_one), role=role, code=code)
        report(ready, after, json=json)


@app.command()
def reject(
    candidate_id: CandidateId,
    *,
    klass: Annotated[str, typer.Option("--class", help="physics, rate, hardware, evidence, timing, drill or other")],
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Reject the request that is open now; the candidate ends."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        open_one = find(ready, candidate_id)
        said = voice(ready, me, candidate_id, reason)
        after = decisions.reject(said, request_id=open_request(open_one), role="", klass=klass)
        report(ready, after, json=json)


def voice(ready: Parts, me: Person, candidate_id: str, reason: str, key: Path | None = None) -> decisions.Voice:
    """Return the voice of somebody on the terminal, who signs if they named a key file."""
    return decisions.Voice(
        ledger=ready.ledger,
        looks=ready.sight,
        policy=ready.policy,
        candidate_id=candidate_id,
        person=me.name,
        reason=reason,
        now=utc_now(),
        sign=signer(key),
    )


def open_request(candidate: Candidate) -> str:
    """Return the id of the request that is open now, empty if none is."""
    return candidate.request.request_id if candidate.request else ""


def report(ready: Parts, after: Candidate, *, json: bool) -> None:
    """Say how the candidate stands after a decision."""
    story = candidate_story(ready, after)
    if json:
        say.machine(story)
    else:
        say.words(f"{after.id} is now {after.phase}.  {story['next']}")


@app.command()
def deploy(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Say what waits for deployment, and for what; the running daemon writes the board by itself."""
    with parts(config.load(config_file)) as ready:
        due = [one for one in ready.sight.candidates() if one.phase in IN_FLIGHT | {Phase.APPROVED}]
        stories = [candidate_story(ready, one) for one in due]
    if json:
        say.machine({"type": "deployments", "candidates": stories})
        return
    if not stories:
        say.words("Nothing is approved and waiting.  `retrigger candidates` shows what is open.")
    for story in stories:
        say.words(f"{story['id']} ({story['phase']}): {story['next']}")


@app.command()
def rollback(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Ask for the digest that ran before; always allowed, the daemon does it in its next turn."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        on_board = [one for one in ready.sight.candidates() if one.phase in ON_BOARD | {Phase.DEPLOYING}]
        if not on_board:
            raise RefusedError("no candidate is on the board, so there is nothing to roll back")
        after = decisions.roll_back(voice(ready, me, on_board[-1].id, reason))
        report(ready, after, json=json)


@app.command("import-champion")
def import_champion(
    bundle: Annotated[Path, typer.Argument(help="What the trigger runs now: a bundle folder, or an emulator .so.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    reason: Reason = "the model that ran before retrigger came",
    scales: Annotated[Path | None, typer.Option(help="Of a .so: JSON with its offsets and shifts.")] = None,
    scales_version: Annotated[str, typer.Option(help="Which version in that file.")] = "",
    threshold: Annotated[str, typer.Option(help="Of a .so: 3541, or with a point the score itself.")] = "",
    interface: Annotated[
        str, typer.Option(help="Of a .so: cmssw, cmssw-v4, score, or a JSON file with its C++ types.")
    ] = "cmssw",
    events: Annotated[list[Path] | None, typer.Option(help="Of a .so: run files to hold its scales against.")] = None,
    json: Json = False,
) -> None:
    """Adopt what runs now, so that there is a champion to watch, to compare with and to fall back to."""
    from daemon.importing import Handed, adopt, champion_from_library  # noqa: PLC0415 each verb pays for its own

    lacks: list[str] = []
    with parts(config.load(config_file)) as ready:
        if not bundle.is_dir():
            if scales is None or not threshold:
                raise RefusedError(f"{bundle} is no bundle folder; an emulator library needs --scales and --threshold")
            handed = Handed(scales, threshold, scales_version, interface, tuple(events or ()))
            made = champion_from_library(ready, bundle, handed)
            bundle, lacks = made.path, list(made.manifest["lacks"])
        fact = adopt(ready, bundle, reason, utc_now())
    if json:
        say.machine(
            {"type": "champion", "slot": fact.slot, "digest": fact.digest, "path": fact.bundle_path, "lacks": lacks}
        )
    else:
        say.words("\n".join([f"{fact.slot} runs {fact.digest}, by import.", *(f"  {one}" for one in lacks)]))


@app.command()
def faults(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    close: Annotated[str, typer.Option(help="Close this alarm (its id, see `retrigger alarms`).")] = "",
    reason: Annotated[str, typer.Option(help="What it was, in one sentence.")] = "",
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """List open detector faults, or close an alarm: retraining is blocked while a fault is open."""
    if close and not reason.strip():
        raise RefusedError(f'to close an alarm, say what it was: retrigger faults --close {close} --reason "…"')
    with parts(config.load(config_file)) as ready:
        stream = ready.settings.stream.name
        if close:
            me = authenticate(ready, person, password_stdin=password_stdin)
            decisions.close_fault(
                ready.ledger,
                ready.policy,
                stream=stream,
                alarm_id=close,
                person=me.name,
                roles=me.roles,
                reason=reason,
                now=utc_now(),
            )
        standing = open_faults(one.fact for one in ready.ledger.facts(subject=stream))
    if json:
        say.machine({"type": "faults", "open": [{"id": one.alarm_id, "alarm": dict(one.alarm)} for one in standing]})
        return
    if not standing:
        say.words(f"{stream}: no detector fault is open.")
    for one in standing:
        say.words(f"{one.alarm_id}: {one.alarm.get('text', one.alarm.get('verdict'))}")


@app.command()
def pause(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Stop every forward step; watching goes on."""
    switch(config_file, person, password_stdin, json, lambda name: f.Paused(at=utc_now(), actor=name, reason=reason))


@app.command()
def resume(
    *,
    reason: Reason,
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Let the daemon go on."""
    switch(config_file, person, password_stdin, json, lambda name: f.Resumed(at=utc_now(), actor=name, reason=reason))


def switch(config_file: Path, person: str, password_stdin: bool, json: bool, fact: Callable[[str], f.Fact]) -> None:
    """Record what a person switches on or off for the whole daemon."""
    with parts(config.load(config_file)) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        if not me.roles & set(ready.policy.reject_roles):
            raise RefusedError(f"{me.name} may not do this; it takes one of {', '.join(ready.policy.reject_roles)}")
        said = fact(me.name)
        ready.ledger.append("daemon", (said,))
    if json:
        say.machine({"type": said.kind, "by": me.name})
    else:
        say.words(f"{said.kind} by {me.name}.")
