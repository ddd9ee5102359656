"""The verb `history`: what ran, what happened to a digest, what a person did; from the ledger or from an export."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import config
from daemon.assemble import parts
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.audit import Keys, verified
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import RefusedError
from daemon.ledger import History, Outcome, StoredFact, history_of
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import plain
from daemon.record.asked import Told, by_digest, by_person
from daemon.record.checked import Checked


@app.command()
def history(
    *,
    run: Annotated[int | None, typer.Option("--run", min=1, help="With --lumisection: what ran there.")] = None,
    lumisection: Annotated[int | None, typer.Option("--lumisection", min=1)] = None,
    digest: Annotated[str, typer.Option(help="Every fact that names this digest, or one that begins so.")] = "",
    person: Annotated[str, typer.Option(help="Everything that this person did or agreed to.")] = "",
    slot: Annotated[str, typer.Option(help="Which slot's model, when it is not the configured one.")] = "",
    export: Annotated[Path | None, typer.Option(help="Answer from this exported record instead, offline.")] = None,
    keys: Keys = None,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Answer what ran at a run and lumisection and on whose word, what became of a digest, or what a person did."""
    asked = [run is not None or lumisection is not None, bool(digest), bool(person)]
    if sum(asked) != 1 or (run is None) != (lumisection is None):
        raise RefusedError("ask for one thing: --run R --lumisection L, or --digest D, or --person NAME")
    if digest or person:
        stored = _exported(export, keys) if export is not None else _recorded(config_file)
        told = by_digest(stored, digest) if digest else by_person(stored, person)
        _tell(told, digest or person, json=json)
        return
    assert run is not None
    assert lumisection is not None
    if export is not None:
        stored = _exported(export, keys)
        found = history_of(stored, run, lumisection, slot or _only_slot(stored))
        outcome, stream = None, ""
    else:
        with parts(config.load(config_file)) as ready:
            stream = ready.settings.stream.name
            found = ready.ledger.history(run, lumisection, slot or ready.settings.stream.slot)
            outcome = ready.ledger.outcome(stream, run, lumisection)
    if json:
        say.machine({"type": "history", **plain(found), "outcome": plain(outcome)})
    else:
        _story(found, outcome, stream)
    if not found.digest:
        raise typer.Exit(say.BAD_VERDICT)


def _recorded(config_file: Path) -> list[StoredFact]:
    with parts(config.load(config_file)) as ready:
        return ready.ledger.facts()


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
            f"{approval.reason}"
        )
    if found.candidate:
        say.words(f"  candidate {found.candidate}, live since {found.since[0]}:{found.since[1]}")
        say.words(f"  evidence  {found.evidence_root} in {found.bundle_path}")
    for gate in found.gates:
        say.words(f"  gate {gate.number:2d}   {gate.verdict:12s} {gate.name}: {gate.summary}")
    if stream:
        seen = f"{outcome.result}{': ' + outcome.reason if outcome.reason else ''}" if outcome else "never delivered"
        say.words(f"  data      {stream}: {seen}")


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
                say.words(f"         {name:9s} {value}")
    if not told:
        if not json:
            say.words(f"The record says nothing of {asked}.")
        raise typer.Exit(say.BAD_VERDICT)
