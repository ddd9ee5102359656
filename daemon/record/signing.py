"""When a head is signed, and how it enters the record: after so many facts, or so much time, since the last one."""

from dataclasses import dataclass
from datetime import datetime

from daemon.ledger import Ledger
from daemon.lifecycle import HeadSigned
from daemon.record.heads import sign_head
from daemon.record.keys import OwnKey
from daemon.record.merkle import Tree
from daemon.record.written import grow, head_of

SUBJECT = "record"


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a head is signed: by whichever comes first.

    Attributes:
        facts: New facts after which one is due.
        minutes: Minutes after which one is due, if there was any new fact.
    """

    facts: int
    minutes: float


class HeadSigner:
    """Signs heads of one ledger and appends them; what it holds in memory it can read again."""

    def __init__(self, ledger: Ledger, key: OwnKey, cadence: Cadence) -> None:
        self._ledger = ledger
        self._key = key
        self._cadence = cadence
        self._tree = Tree()
        self._chain = ""
        self._last_sequence = 0
        self.newest: HeadSigned | None = None

    def step(self, now: datetime) -> bool:
        """Sign and append a head if one is due; returns whether one was.

        Raises:
            LedgerError: The chain is broken; nothing is signed over it.
            StaleSequenceError: Another process signed one at the same moment.
        """
        self._look()
        if not self._due(now):
            return False
        added = grow(self._tree, self._ledger)
        self._chain = added[-1] if added else self._chain
        head = head_of(self._tree, self._chain, now)
        earlier = self.newest.size if self.newest else 0
        fact = HeadSigned(
            at=now,
            actor="daemon",
            size=head.size,
            root=head.root,
            envelope=sign_head(head, self._key),
            earlier=earlier,
            consistency=tuple(one.hex() for one in self._tree.consistency(earlier)),
        )
        self._ledger.append(SUBJECT, (fact,), expect_sequence=self._last_sequence)
        self._look()
        return True

    def _look(self) -> None:
        for one in self._ledger.facts(subject=SUBJECT, kind=HeadSigned.kind, after=self._last_sequence):
            assert isinstance(one.fact, HeadSigned)
            self.newest, self._last_sequence = one.fact, one.sequence

    def _due(self, now: datetime) -> bool:
        waiting = self._ledger.head().sequence - self._last_sequence
        if waiting <= 0 or self.newest is None:
            return waiting > 0
        return waiting >= self._cadence.facts or (now - self.newest.at).total_seconds() >= 60 * self._cadence.minutes
