"""Which model judged a lumisection, who approved it, and on what evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from daemon.ledger import chain
from daemon.ledger.chain import StoredFact
from daemon.lifecycle import facts as f
from daemon.lifecycle.fold import Candidate, fold
from daemon.lifecycle.states import champion_at, champions

MOVES = (f.ChampionImported, f.Deployed, f.RolledBack)


@dataclass(frozen=True, kw_only=True)
class History:
    """The answer for one lumisection of one slot.

    Attributes:
        slot: Which model place.
        run: As asked.
        lumisection: As asked.
        digest: What was live; empty if the record knows of nothing.
        since: (run, lumisection) from which on it was live; (0, 0) means since before the record.
        imported: Whether it is a model that ran before retrigger came, and so has no approval here.
        candidate: The candidate that brought it, None for an imported one.
        request: The request that was approved.
        approvals: Who approved it, in which role and why.
        gates: The gates it passed.
        evidence_root: Digest of the evidence.
        bundle_path: Where the bundle is.
    """

    slot: str
    run: int
    lumisection: int
    digest: str
    since: tuple[int, int]
    imported: bool
    candidate: str | None
    request: f.Proposed | None
    approvals: tuple[f.Approved, ...]
    gates: tuple[f.GateOutcome, ...]
    evidence_root: str
    bundle_path: str


def history(connection: Connection, run: int, lumisection: int, slot: str) -> History:
    """Return what was live in a slot for one lumisection, by the record."""
    stored = [one for kind in MOVES for one in chain.facts(connection, kind=kind.kind)]
    return told(stored, lambda subject: chain.facts(connection, subject=subject), run, lumisection, slot)


def history_of(stored: Sequence[StoredFact], run: int, lumisection: int, slot: str) -> History:
    """Return the same from the facts of an export."""
    moves = [one for one in stored if isinstance(one.fact, MOVES)]
    return told(moves, lambda subject: [one for one in stored if one.subject == subject], run, lumisection, slot)


def told(
    stored: list[StoredFact],
    of_subject: Callable[[str], Sequence[StoredFact]],
    run: int,
    lumisection: int,
    slot: str,
) -> History:
    """Return what was live, given every fact that moves a champion and a way to the facts of a candidate."""
    stored.sort(key=lambda one: one.sequence)
    champion = champion_at(champions((one.fact for one in stored), slot), run, lumisection)
    digest = champion.digest if champion else ""
    imports = {
        one.fact.digest: one.fact.bundle_path
        for one in stored
        if isinstance(one.fact, f.ChampionImported) and one.fact.slot == slot
    }
    brought = _who_brought(of_subject, [one.subject for one in stored if _deploys(one.fact, slot, digest)])
    request = brought.request if brought else None
    return History(
        slot=slot,
        run=run,
        lumisection=lumisection,
        digest=digest,
        since=champion.since if champion else (0, 0),
        imported=brought is None and digest in imports,
        candidate=brought.id if brought else None,
        request=request,
        approvals=brought.approvals if brought else (),
        gates=brought.gates.gates if brought and brought.gates else (),
        evidence_root=request.evidence_root if request else "",
        bundle_path=brought.bundle_path if brought else imports.get(digest, ""),
    )


def _deploys(fact: f.Fact, slot: str, digest: str) -> bool:
    return isinstance(fact, f.Deployed) and fact.slot == slot and fact.digest == digest


def _who_brought(of_subject: Callable[[str], Sequence[StoredFact]], candidates: list[str]) -> Candidate | None:
    if not candidates:
        return None
    return fold(one.fact for one in of_subject(candidates[-1]))
