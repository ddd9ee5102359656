"""Whether enough distinct people, in the required roles, said yes to one request.

A role listed twice needs two people.  One person fills one role at most, whatever roles or keys they hold, and the
initiator fills none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Voice(Protocol):
    """One person's word in one role: an approval, a second confirmation, a waiver or a breaking of the glass."""

    @property
    def person(self) -> str:
        """Who said it."""

    @property
    def role(self) -> str:
        """In which role."""


@dataclass(frozen=True)
class Quorum:
    """Who counts for which role, and which roles nobody fills yet."""

    filled: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every required role is filled; an empty list of roles never is."""
        return bool(self.filled) and not self.missing


def quorum(
    required: Iterable[str],
    approvals: Iterable[Voice],
    initiator: str,
    people: Mapping[str, frozenset[str]] | None = None,
) -> Quorum:
    """Return how far the approvals fill the required roles.

    An approval names its role, so no assignment has to be searched: each person's first approval counts.

    Args:
        required: Roles of the tier, in order; repeated for several people of one role.
        approvals: Approvals of this very request.
        initiator: Who asked for the candidate; never counts.
        people: Roles held now, by person.  Given, an approval counts only while its person still holds its role.
    """
    open_roles, filled, seen = list(required), [], {initiator}
    for approval in approvals:
        holds = people is None or approval.role in people.get(approval.person, frozenset())
        if approval.person in seen or approval.role not in open_roles or not holds:
            continue
        seen.add(approval.person)
        open_roles.remove(approval.role)
        filled.append((approval.person, approval.role))
    return Quorum(tuple(filled), tuple(open_roles))
