"""What is seen to be so, gathered just before a decision: board, beam, the bundle's bytes, certification, people.

The loop, the page and the command line all decide on a `World` made here, so that none of them can see another world.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daemon.deploy import DeployTarget
from daemon.errors import DeployError
from daemon.ledger import Ledger
from daemon.lessons import FOREVER, quarantined
from daemon.lifecycle import Candidate, Fact, Phase, World, fold, fold_daemon, open_faults
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.lifecycle.candidate import WATCHED
from daemon.lifecycle.observed import Observed
from daemon.lifecycle.states import DaemonState
from daemon.measured import evidence_root
from daemon.people import People
from drift.conditions import BeamMode, BeamModeFeed, ConditionsTable
from drift.errors import ConditionsError
from retrain import bundle as bundles
from retrain.errors import BundleAlteredError
from retrain.recipe import LumisectionRange, Recipe

log = logging.getLogger("retrigger.sight")
Found = TypeVar("Found")
RESTS_ON_BITS = frozenset(
    {
        Phase.VERIFYING,
        Phase.NEEDS_EXPERT,
        Phase.READY,
        Phase.STALE,
        Phase.PENDING_APPROVAL,
        Phase.APPROVED,
        Phase.ARMED,
        Phase.DEPLOYING,
        Phase.SHADOW,
    }
)


class Observer(Protocol):
    """Sees what a board does since a candidate's present phase began; a site whose board shows nothing has none."""

    def observed(self, candidate: Candidate, now: datetime) -> Observed | None:
        """Return what was seen since ``candidate.phase_since``; None if nobody could look."""


class Certifier(Protocol):
    """Says how lumisections are certified now."""

    def digest(self, spans: Iterable[LumisectionRange]) -> str:
        """Return one digest for the certification of all these lumisections."""


class TableCertifier:
    """Certification from the conditions folder, read again when it changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, spans: Iterable[LumisectionRange]) -> str:
        """See `Certifier.digest`."""
        return certification_digest(ConditionsTable.load(self._folder), spans)


def certification_digest(table: ConditionsTable, spans: Iterable[LumisectionRange]) -> str:
    """Return the SHA-256 of how each lumisection is certified: yes, no, or not yet said."""
    lines = hashlib.sha256()
    for span in sorted(spans):
        for lumisection in range(span.first, span.last + 1):
            conditions = table.at(span.run, lumisection)
            certified = None if conditions is None else conditions.certified
            lines.update(f"{span.run}:{lumisection}={certified}\n".encode())
    return lines.hexdigest()


class Sight:
    """Looks at the world from one candidate's place.  Only what the record says is remembered, until it says more.

    Attributes:
        unread: Why the board could not be read when it was last looked at; empty when it could.
    """

    def __init__(
        self,
        ledger: Ledger,
        people: People,
        target: DeployTarget,
        certifier: Certifier,
        beam: BeamModeFeed,
        stream: str,
        observer: Observer | None = None,
        crate: str = "",
        margin: int = 2,
    ) -> None:
        """Gather where to look.

        `crate` is the target, beside the board, on which rehearsals of the way back count; `margin` is how many
        lumisections before its onset a fault quarantines.
        """
        self._ledger = ledger
        self._people = people
        self._target = target
        self._certifier = certifier
        self._beam = beam
        self._stream = stream
        self._observer = observer
        self._rehearsed_on = {target.name, crate}
        self._margin = margin
        self._folded: tuple[str, dict[str, Any]] = ("", {})
        self.unread = ""

    def candidates(self) -> list[Candidate]:
        """Return every candidate of the ledger, oldest first."""
        return list(self._once("candidates", self._candidates))

    def _candidates(self) -> list[Candidate]:
        found = [
            fold(stored.fact for stored in self._ledger.facts(subject=subject))
            for subject in self._ledger.subjects("candidate_requested")
        ]
        return sorted(found, key=lambda candidate: candidate.number)

    def _once(self, name: str, make: Callable[[], Found]) -> Found:
        """Return what facts alone decide, made anew only when they are others.

        Each candidate is looked at beside all others in each turn, so the cost would grow with their square.  The hash
        names them, the number does not: a record that was restored, or a database that failed over, may have lost its
        last fact and have another one in its place.
        """
        head = self._ledger.head().hash
        if self._folded[0] != head:
            self._folded = (head, {})
        known = self._folded[1]
        if name not in known:
            known[name] = make()
        found: Found = known[name]
        return found

    def _daemon(self) -> DaemonState:
        return fold_daemon(stored.fact for stored in self._ledger.facts(subject="daemon"))

    def _of_the_stream(self) -> list[Fact]:
        return [stored.fact for stored in self._ledger.facts(subject=self._stream)]

    def world(self, candidate: Candidate, others: Iterable[Candidate], now: datetime) -> World:
        """Return what is seen now from the place of one candidate."""
        bits: dict[str, Any] = {"bundle": None, "evidence_root": None, "bundle_problem": ""}
        if candidate.phase in RESTS_ON_BITS and candidate.build is not None:
            bits = self._bits(candidate)
        spans = Recipe.from_json(candidate.recipe).lumisections if candidate.phase in RESTS_ON_BITS else ()
        daemon = self._once("daemon", self._daemon)
        beam = self._beam.now(now)
        faults = open_faults(self._once("stream", self._of_the_stream))
        return World(
            target=self._target.name,
            running=self.running(),
            beam_mode=beam.mode if beam is not None else None,
            certification=(self.quarantine(learned(candidate)) or self.certification(spans)) if spans else None,
            clock=self._ledger.clock() or now,
            people=self._people.roles(),
            keys=self._people.keys(),
            fill=beam.fill if beam is not None else None,
            observed=self._observed(candidate, now),
            rehearsed_at=self._rehearsed_at(candidate.slot),
            open_faults=tuple(fault.alarm_id for fault in faults),
            paused=daemon.paused != "",
            frozen=daemon.frozen,
            others=tuple(other for other in others if other.id != candidate.id),
            next_lumisection=_after(self._ledger.latest(self._stream)),
            **bits,
        )

    def _observed(self, candidate: Candidate, now: datetime) -> Observed | None:
        watched = self._observer is not None and candidate.phase in WATCHED
        return self._observer.observed(candidate, now) if watched and self._observer is not None else None

    def _rehearsed_at(self, slot: str) -> datetime | None:
        """When the way back to what runs now was last walked on this target, or on its crate."""
        running = self.running()
        rehearsals = [
            one.fact.at
            for one in self._ledger.facts(subject=slot, kind=RollbackRehearsed.kind)
            if isinstance(one.fact, RollbackRehearsed)
            and one.fact.target in self._rehearsed_on
            and one.fact.to_digest == running
        ]
        return max(rehearsals, default=None)

    def quarantine(self, spans: Iterable[LumisectionRange]) -> str:
        """Say which closed quarantine touches these lumisections; empty when none does.

        A candidate is asked for outside of every quarantine, so one that touches what it learned came later: no digest
        of the certification then, so that it goes stale.  An open fault holds everything up by itself.
        """
        told = list(spans)
        facts = self._once("stream", self._of_the_stream)
        for first, last in quarantined(facts, self._margin):
            touched = any((one.run, one.first) <= last and first <= (one.run, one.last) for one in told)
            if touched and last != FOREVER:
                return f"in quarantine from {first[0]}:{max(first[1], 1)} to {last[0]}:{last[1]}"
        return ""

    def certification(self, spans: Iterable[LumisectionRange]) -> str | None:
        """Return the digest of how these lumisections are certified now; None when conditions cannot be read."""
        try:
            return self._certifier.digest(spans)
        except (ConditionsError, OSError):
            return None

    def beam(self, now: datetime) -> BeamMode | None:
        """Return the beam's mode and fill; None while unknown or stale."""
        return self._beam.now(now)

    def running(self) -> str | None:
        """Return the digest read back from the board; None when it cannot be read, empty text when it runs nothing."""
        try:
            found = self._target.read_back()
        except (DeployError, BundleAlteredError, OSError) as error:
            if str(error) != self.unread:
                log.warning("the board cannot be read: %s", error)
            self.unread = str(error)
            return None
        self.unread = ""
        return found

    @staticmethod
    def _bits(candidate: Candidate) -> dict[str, Any]:
        try:
            bundle = bundles.load(Path(candidate.bundle_path), candidate.bundle_digest)
        except BundleAlteredError as error:
            return {"bundle": None, "evidence_root": None, "bundle_problem": str(error)}
        judged_beside = candidate.gates.running_digest if candidate.gates else ""
        return {"bundle": bundle.digest, "evidence_root": evidence_root(bundle, judged_beside), "bundle_problem": ""}


def learned(candidate: Candidate) -> tuple[LumisectionRange, ...]:
    """Return what a candidate learned from or is measured on; of an online learner's state, all that it took."""
    recipe = Recipe.from_json(candidate.recipe)
    if recipe.snapshot is None or candidate.build is None:
        return recipe.lumisections
    try:
        told = bundles.load(Path(candidate.bundle_path), candidate.bundle_digest).evidence("training")
    except BundleAlteredError:
        return recipe.lumisections  # altered bits go no further anyway
    return (*recipe.lumisections, *(_span(text) for text in told.get("online", {}).get("taken", ())))


def _span(text: str) -> LumisectionRange:
    run, _, numbers = text.partition(":")
    first, _, last = numbers.partition("-")
    return LumisectionRange(int(run), int(first), int(last))


def _after(latest: tuple[int, int] | None) -> tuple[int, int]:
    """Where a change takes effect: the lumisection after the last one that has an outcome."""
    return (0, 0) if latest is None else (latest[0], latest[1] + 1)
