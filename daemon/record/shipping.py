"""How the record leaves the host: a head is signed when one is due, and every place gets the facts up to it.

What is owed to a place is a row in the work queue, so a kill at any instant loses nothing: the row is claimed again and
the segment sent again, which changes nothing where it had arrived.  A place that hangs holds up neither the loop nor
the other places; a failed export is counted, told in the status and tried again for ever, ever more rarely.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.errors import RetriggerError
from daemon.ledger import Ledger, Work
from daemon.lifecycle import HeadSigned
from daemon.lifecycle.codec import digest, plain
from daemon.record.places import Place
from daemon.record.signing import SUBJECT, HeadSigner
from daemon.record.written import segment, signers

log = logging.getLogger("retrigger.record")
KIND = "export:"
LEASE_S = 900.0
FIRST_RETRY_S, LONGEST_RETRY_S = 15.0, 600.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How a place stands.

    Attributes:
        delivered: Up to which fact it holds the record.
        exports: How many segments arrived.
        failures: How many exports failed, ever.
        error: Why the last one failed; empty when it arrived.
    """

    delivered: int = 0
    exports: int = 0
    failures: int = 0
    error: str = ""


def sent(ledger: Ledger, name: str) -> Sent:
    """Return how a place stands, by what the daemon last said."""
    row = ledger.status().get(status_name(name))
    return Sent(**row.body) if row else Sent()


def status_name(place: str) -> str:
    """Return under which name the ledger's status keeps a place."""
    return KIND + (place if len(place) <= 150 else f"{place[:130]}…{digest(place)[:16]}")


def short_name(place: str) -> str:
    """Return what a place is called where everybody looks: of a command the program alone, for words may be secret."""
    program, *words = place.split()
    return f"{program} … {digest(place)[:6]}" if words else place


class Shipping:
    """Brings the record to its places."""

    def __init__(
        self,
        ledger: Ledger,
        signer: Callable[[], HeadSigner],
        places: Sequence[Place],
        *,
        owner: str,
        patience_s: float = 2.0,
    ) -> None:
        """Prepare; nothing is opened or made before the first step.

        Args:
            ledger: Of the record.
            signer: Gives who signs heads, called once when a place is configured.
            places: Where the record goes.
            owner: Who claims work.
            patience_s: How long one step waits for places before the loop goes on without them.
        """
        self._ledger = ledger
        self._make_signer = signer
        self._signer: HeadSigner | None = None
        self._places = {place.name: place for place in places}
        self._owner = owner
        self._patience_s = patience_s
        self._under_way: dict[str, threading.Thread] = {}

    def step(self, now: datetime) -> None:
        """Sign a head if one is due, owe it to every place, and send what is owed.

        Raises:
            RetriggerError: No head can be signed; places still get what was signed before.
        """
        if not self._places:
            return
        if self._signer is None:
            self._signer = self._make_signer()
        try:
            self._signer.step(now)
        finally:
            if self._signer.newest is not None:
                for place in self._places.values():
                    self._owe(place, self._signer.newest, now)
        begun = [thread for name, place in self._places.items() if (thread := self._send_in_thread(name, place, now))]
        for thread in begun:
            thread.join(self._patience_s)

    def stands(self) -> dict[str, Sent]:
        """Return how each place stands, by its name and by what was last said of it."""
        return {name: sent(self._ledger, name) for name in self._places}

    def _owe(self, place: Place, head: HeadSigned, now: datetime) -> None:
        kind = _kind(place)
        if sent(self._ledger, place.name).delivered < head.size and not self._ledger.work_waits(kind):
            self._ledger.add_work(kind, now, {"place": place.name})

    def _send_in_thread(self, name: str, place: Place, now: datetime) -> threading.Thread | None:
        """Begin what is owed to a place, unless an earlier export to it is still under way."""
        before = self._under_way.get(name)
        if before is not None and before.is_alive():
            return None
        work = self._ledger.claim_work(now, LEASE_S, self._owner, kinds=[_kind(place)])
        if work is None:
            return None
        thread = threading.Thread(target=self._send_or_say, args=(place, work, now), daemon=True, name=work.kind)
        self._under_way[name] = thread
        thread.start()
        return thread

    def _send_or_say(self, place: Place, work: Work, now: datetime) -> None:
        before = sent(self._ledger, place.name)
        try:
            after = self._send(place, before)
            self._ledger.put_status(status_name(place.name), _body(after), now)
            self._ledger.finish_work(work, now)
            if before.error:
                log.info("the record reaches %s again, up to fact %d", place.name, after.delivered)
        except (RetriggerError, OSError) as error:
            self._failed(place, work, before, error, now)

    def _send(self, place: Place, before: Sent) -> Sent:
        """Send what the place lacks, up to the newest head; the facts after it go with the next one."""
        after = place.delivered(before.delivered)
        stored = self._ledger.facts(subject=SUBJECT, kind=HeadSigned.kind)
        heads = [one.fact for one in stored if isinstance(one.fact, HeadSigned)]
        if not heads or heads[-1].size <= after:
            return Sent(delivered=after, exports=before.exports, failures=before.failures)
        last, envelope = heads[-1].size, heads[-1].envelope
        lines = segment(
            self._ledger.records(after, last), after + 1, envelope, signers(envelope, self._ledger, after, last)
        )
        place.send(after + 1, last, lines)
        return Sent(delivered=last, exports=before.exports + 1, failures=before.failures)

    def _failed(self, place: Place, work: Work, before: Sent, error: Exception, now: datetime) -> None:
        log.warning("the record did not reach %s (attempt %d): %s", place.name, work.attempt, error)
        said = Sent(delivered=before.delivered, exports=before.exports, failures=before.failures + 1, error=str(error))
        wait_s = min(FIRST_RETRY_S * 2 ** min(work.attempt - 1, 10), LONGEST_RETRY_S)
        try:
            self._ledger.put_status(status_name(place.name), _body(said), now)
            self._ledger.fail_work(work, str(error), now, retry_at=now + timedelta(seconds=wait_s))
        except RetriggerError as trouble:
            log.warning("that %s failed could not be written down: %s", place.name, trouble)


def _kind(place: Place) -> str:
    return KIND + digest(place.name)[:16]  # the kind of a piece of work has few characters


def _body(said: Sent) -> Mapping[str, Any]:
    body: Mapping[str, Any] = plain(said)
    return body
