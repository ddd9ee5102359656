"""The verb `history`: what ran, what happened to a digest, what a person did; from the ledger or from an export."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.audit import Keys, verified
from daemon.cli.desk import PlainHttp, Server, desk
from daemon.cli.identity import PasswordStdin
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import RefusedError
from daemon.ledger import History, Outcome, StoredFact, history_of
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import plain
from daemon.record.asked import Told, by_digest, by_person
from daemon.record.checked import Checked

Me = Annotated[
    str,
    typer.Option(
        "--as", help="With --server, your account there; left out: your login name.", envvar="RETRIGGER_PERSON"
    ),
]


@app.command()
def history(
    *,
    run: Annotated[
        int | None, typer.Option("--run", min=1, max=2**31 - 1, help="With --lumisection: what ran there.")
    ] = None,
    lumisection: Annotated[int | None, typer.Option("--lumisection", min=1, max=2**31 - 1)] = None,
    digest: Annotated[str, typer.Option(help="Every fact that names this digest, or one that begins so.")] = "",
    person: Annotated[str, typer.Option(help="Everything that this person did or agreed to.")] = "",
    slot: Annotated[str, typer.Option(help="Which slot's model, when it is not the configured one.")] = "",
    export: Annotated[Path | None, typer.Option(help="Answer from this exported record instead, offline.")] = None,
    keys: Keys = None,
    config_file: ConfigFile = Path("retrigger.toml"),
    server: Server = "",
    plain_http: PlainHttp = False,
    me: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Answer what ran at a run and lumisection and on whose word, what became of a digest, or what a person did."""
    asked = [run is not None or lumisection is not None, bool(digest), bool(person)]
    if sum(asked) != 1 or (run is None) != (lumisection is None):
        raise RefusedError("ask for one thing: --run R --lumisection L, or --digest D, or --person NAME")
    if export is not None and server:
        raise RefusedError(f"say --export {export} or --server {server}, not both: each is a record of its own")
    heard = (
        nullcontext(Exported(_exported(export, keys)))
        if export is not None
        else desk(config_file, server, plain_http=plain_http, person=me, password_stdin=password_stdin)
    )
    with heard as at:
        told = at.told(digest=digest, person=person) if digest or person else []
        ran = None if run is None or lumisection is None else at.ran(run, lumisection, slot)
    if ran is None:
        _tell(told, digest or person, json=json)
        return
    found, outcome, stream = ran
    if json:
        say.machine({"type": "history", **plain(found), "outcome": plain(outcome)})
    else:
        _story(found, outcome, stream)
    if not found.digest:
        raise typer.Exit(say.BAD_VERDICT)


class Exported:
    """Answers from an export what `daemon.cli.desk.Desk` answers from a ledger."""

    def __init__(self, stored: Sequence[StoredFact]) -> None:
        self._stored = stored

    def ran(self, run: int, lumisection: int, slot: str) -> tuple[History, Outcome | None, str]:
        """Return what ran there; an export knows of no data, nor of a stream."""
        return history_of(self._stored, run, lumisection, slot or _only_slot(self._stored)), None, ""

    def told(self, *, digest: str = "", person: str = "") -> list[Told]:
        """Return what it says of a digest, or of a person."""
        return by_digest(self._stored, digest) if digest else by_person(self._stored, person)


def _exported(export: Path, keys: Path | None) -> list[StoredFact]:
    """Return the facts of an export; one that does not verify answers nothing."""
    found = verified(export, keys, [], tell=True)
    if found.problems or not isinstance(found, Checked):
        why = found.problems[0] if found.problems else "it is a bundle's evidence, and holds only a part of the record"
        raise RefusedError(f"{export} answers nothing: {why}; see `retrigger audit verify {export}`")
    return found.told


def _only_slot(stored: Sequence[StoredFact]) -> str:
    slots = {one.fact.slot for one in stored if isinstance(one.fact, f.ChampionImported | f.Deployed)}
    if len(slots) != 1:
        named = ", ".join(sorted(slots)) or "none"
        raise RefusedError(f"the record speaks of {len(slots)} slots ({named}); name one with --slot")
    return slots.pop()


def _story(found: History, outcome: Outcome | None, stream: str) -> None:
    say.words(f"run {found.run} lumisection {found.lumisection}, slot {found.slot}")
    imported = "  (imported champion)" if found.imported else ""
    say.words(f"  ran       {found.digest or 'unknown to this record'}{imported}")
    for approval in found.approvals:
        say.words(
            f"  approved  {approval.person} as {approval.role} at {approval.at:%Y-%m-%d %H:%M:%S} UTC: "
            f"{say.one_line(approval.reason)}"
        )
    if found.candidate:
        say.words(f"  candidate {found.candidate}, live since {found.since[0]}:{found.since[1]}")
        say.words(f"  evidence  {found.evidence_root} in {found.bundle_path}")
    for gate in found.gates:
        say.words(f"  gate {gate.number:2d}   {gate.verdict:12s} {gate.name}: {gate.summary}")
    if stream:
        seen = f"{outcome.result}{': ' + outcome.reason if outcome.reason else ''}" if outcome else "never delivered"
        say.words(f"  data      {stream}: {say.one_line(seen)}")


def _tell(told: list[Told], asked: str, *, json: bool) -> None:
    for one in told:
        if json:
            tree: dict[str, Any] = {"type": "told", **plain(one)}
            say.machine(tree)
            continue
        say.words(f"{one.sequence:7d}  {one.at:%Y-%m-%d %H:%M:%S} UTC  {one.kind} of {one.subject} by {one.actor}")
        for name, value in (
            ("says", one.words), ("request", one.request), ("bundle", one.bundle), ("evidence", one.evidence)
        ):  # fmt: skip
            if value:
                say.words(f"         {name:9s} {say.one_line(value)}")
    if not told:
        if not json:
            say.words(f"The record says nothing of {asked}.")
        raise typer.Exit(say.BAD_VERDICT)
