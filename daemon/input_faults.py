"""What was not understood in one kind of input: logged once each, and how many there are now, for status.

Which faults there are is the reader's question; what follows from one is nobody's here.
"""

import logging
from collections.abc import Sequence

log = logging.getLogger("retrigger.inputs")
MOST_LOGGED = 5


class InputFaults:
    """Faults of one kind of input, as the last look found them."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._now: tuple[str, ...] = ()
        self.newest = ""

    def hear(self, faults: Sequence[str]) -> None:
        """Take what a look found; only what the look before did not find is logged."""
        known = set(self._now)
        fresh = [one for one in dict.fromkeys(faults) if one not in known]
        for one in fresh[:MOST_LOGGED]:
            log.warning("%s: %s", self._what, one)
        if len(fresh) > MOST_LOGGED:
            log.warning("%s: %d more faults came with these", self._what, len(fresh) - MOST_LOGGED)
        if self._now and not faults:
            log.info("%s: no fault any more", self._what)
        self._now = tuple(faults)
        if fresh or self.newest not in faults:
            self.newest = [*faults, *fresh][-1] if faults else ""

    @property
    def count(self) -> int:
        """How many there are now."""
        return len(self._now)

    def clause(self, of_what: str) -> str:
        """Return how many there are and the newest, to be added to a sentence; empty when there is none."""
        return f"; {of_what}, {fault_words(self.count, self.newest)}" if self.count else ""


def fault_words(count: int, newest: str) -> str:
    """Return a number of faults and the newest of them as a clause."""
    return f"{count} fault{'s' if count > 1 else ''}, the newest: {newest}" if count else "no fault"
