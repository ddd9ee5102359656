"""Where a slot, a stream and the daemon itself stand, from their facts."""

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.lifecycle import facts as f
from daemon.lifecycle.facts import Fact


@dataclass(frozen=True, kw_only=True)
class DaemonState:
    """Whether people stopped the daemon or its deployments, and why; empty text means they did not."""

    paused: str = ""
    frozen: str = ""


def fold_daemon(facts: Iterable[Fact]) -> DaemonState:
    """Return the standing of the daemon from the facts filed under ``daemon``."""
    paused = frozen = ""
    for fact in facts:
        match fact:
            case f.Paused(actor=actor, reason=reason):
                paused = f"{actor}: {reason}"
            case f.Resumed():
                paused = ""
            case f.FreezeStarted(actor=actor, reason=reason):
                frozen = f"{actor}: {reason}"
            case f.FreezeEnded():
                frozen = ""
    return DaemonState(paused=paused, frozen=frozen)


def open_faults(facts: Iterable[Fact]) -> tuple[f.FaultOpened, ...]:
    """Return the faults of a stream that nobody closed, oldest first."""
    standing: dict[str, f.FaultOpened] = {}
    for fact in facts:
        match fact:
            case f.FaultOpened(alarm_id=alarm_id):
                standing.setdefault(alarm_id, fact)
            case f.FaultClosed(alarm_id=alarm_id):
                standing.pop(alarm_id, None)
    return tuple(standing.values())


@dataclass(frozen=True, kw_only=True)
class Champion:
    """What a slot runs by the record, and from which (run, lumisection) on; (0, 0) means since ever."""

    slot: str
    digest: str
    since: tuple[int, int]


def champions(facts: Iterable[Fact], slot: str) -> tuple[Champion, ...]:
    """Return every champion of a slot in ledger order; the last one is the present one.

    Args:
        facts: Of kinds ``champion_imported``, ``deployed`` and ``rolled_back``, of any candidates.
        slot: Whose champions.
    """
    line: list[Champion] = []
    for fact in facts:
        match fact:
            case f.ChampionImported(slot=where, digest=digest) if where == slot:
                line.append(Champion(slot=slot, digest=digest, since=(0, 0)))
            case f.Deployed(slot=where, digest=digest, effective_run=run, effective_lumisection=lumisection) if (
                where == slot
            ):
                line.append(Champion(slot=slot, digest=digest, since=(run, lumisection)))
            case f.RolledBack(slot=where, to_digest=digest, effective_run=run, effective_lumisection=ls) if (
                where == slot
            ):
                line.append(Champion(slot=slot, digest=digest, since=(run, ls)))
    return tuple(line)


def champion_at(line: Iterable[Champion], run: int, lumisection: int) -> Champion | None:
    """Return the champion that was live for a lumisection: the last one recorded to take effect by then."""
    before = [champion for champion in line if champion.since <= (run, lumisection)]
    return before[-1] if before else None
