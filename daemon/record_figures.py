"""What the record says of itself, for metrics: facts by kind, messages owed, and whether the chain was found whole.

Checks that take long (the whole chain, an export) leave their result in the ledger's status; here it is only read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daemon.ledger import Figures, Ledger, StatusRow, StoredFact
from daemon.lifecycle import facts as f

AUDIT, EXPORT = "audit", "audit_export"
"""Names under which the last check of the chain and its last export by hand stand in the status."""
SHIPPED = "export:"
"""What the names begin with under which `daemon.record.shipping` keeps its places."""
UNTOLD = "drill_seeded"
"""A kind that no metric counts: whoever approves could see that what they are asked for is a drill."""
DELIVERY_STATES = ("sent", "owed", "given_up")


@dataclass(frozen=True, kw_only=True)
class RecordFigures:
    """The record, as a whole.

    Attributes:
        facts: How many there are of each kind, those that never were among them.
        newest: The newest fact of each kind.
        work: Unfinished work, by kind.
        messages: Messages by (channel, state); one being sent counts as owed.
        oldest_message_s: Age of the oldest message that is still owed; None when none is.
        intact: Whether the chain was whole when it was last checked; None before the first check.
        checked_at: When that was, in Unix time.
        checked_sequence: Up to which fact.
        exported_at: When the chain was last exported; None if never.
        exported_sequence: Up to which fact.
    """

    facts: Mapping[str, int] = field(default_factory=dict)
    newest: Mapping[str, StoredFact] = field(default_factory=dict)
    work: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest_message_s: float | None = None
    intact: bool | None = None
    checked_at: float | None = None
    checked_sequence: int = 0
    exported_at: float | None = None
    exported_sequence: int = 0


def record_figures(ledger: Ledger, figures: Figures, now: datetime) -> RecordFigures:
    """Return what the record says of itself now."""
    waiting, status = ledger.outbox(), ledger.status()
    messages: dict[tuple[str, str], int] = {}
    for (channel, state), n in waiting.counts.items():
        for word in DELIVERY_STATES:
            messages.setdefault((channel, word), 0)
        word = state if state in DELIVERY_STATES else "owed"
        messages[channel, word] += n
    audit: Mapping[str, Any] = status[AUDIT].body if AUDIT in status else {}
    exports = _exports(status)
    return RecordFigures(
        facts={kind: figures.facts.get(kind, 0) for kind in (*f.KINDS, *figures.facts) if kind != UNTOLD},
        newest={kind: stored for kind, stored in ledger.newest_facts().items() if kind != UNTOLD},
        work=figures.work_open,
        messages=messages,
        oldest_message_s=None if waiting.oldest is None else max(0.0, (now - waiting.oldest).total_seconds()),
        intact=None if not audit else not audit["problems"],
        checked_at=status[AUDIT].at.timestamp() if audit else None,
        checked_sequence=int(audit.get("sequence", 0)),
        exported_at=max((at.timestamp() for at, _ in exports), default=None),
        exported_sequence=max((sequence for _, sequence in exports), default=0),
    )


def _exports(status: Mapping[str, StatusRow]) -> list[tuple[datetime, int]]:
    """Return when and up to which fact the record last arrived somewhere, by hand or by itself."""
    found = []
    for name, row in status.items():
        if name == EXPORT:
            found.append((row.at, int(row.body["sequence"])))
        elif name.startswith(SHIPPED) and row.body.get("delivered") and not row.body.get("error"):
            found.append((row.at, int(row.body["delivered"])))
    return found
