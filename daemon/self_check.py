"""Check the whole record once in a while, beside the loop, and leave the result in the ledger's status."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.errors import RetriggerError
from daemon.ledger import Ledger
from daemon.record_figures import AUDIT

log = logging.getLogger("retrigger.audit")
EVERY = timedelta(hours=6)
MOST_TOLD = 5


def check(ledger: Ledger, now: datetime) -> list[str]:
    """Check the hash chain and what it says of the tables; the result is kept for metrics, and returned."""
    head = ledger.head()
    problems = ledger.verify()
    ledger.put_status(AUDIT, {"problems": problems[:MOST_TOLD], "sequence": head.sequence, "hash": head.hash}, now)
    for problem in problems[:MOST_TOLD]:
        log.error("the record is not whole: %s", problem)
    return problems


class SelfCheck:
    """Checks in a thread of its own at start and every six hours; a read transaction holds nobody up."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a check that goes on is left to end with the process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                check(self._ledger, self._clock())
            except RetriggerError as error:
                log.warning("the record cannot be checked now: %s", error)
            self._stop.wait(EVERY.total_seconds())
