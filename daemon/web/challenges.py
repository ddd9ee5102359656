"""Which bytes a session was asked to sign with a passkey, so that an assertion is fresh and counts once.

One question stands for each purpose of a session, for a few minutes.  Nothing here is on a disk: after a restart of the
page one asks again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

STANDS = timedelta(minutes=5)
MOST = 2_000


@dataclass(frozen=True)
class _Asked:
    message: bytes
    nonce: bytes
    at: datetime


class Challenges:
    """The open questions of all sessions; safe to use from several threads."""

    def __init__(self, tokens: Callable[[], str]) -> None:
        """Take `tokens`, which returns a new unguessable text at each call."""
        self._tokens = tokens
        self._open: dict[tuple[str, str], _Asked] = {}
        self._lock = Lock()

    def ask(self, session: str, purpose: str, message: bytes, now: datetime, *, fresh: bool = True) -> bytes:
        """Return the bytes to be signed: the message, with a nonce where `fresh`; an older question is void."""
        nonce = b"\n" + self._tokens().encode() if fresh else b""
        with self._lock:
            self._forget(now)
            self._open[session, purpose] = _Asked(message, nonce, now)
            while len(self._open) > MOST:
                self._open.pop(next(iter(self._open)))
        return message + nonce

    def take(self, session: str, purpose: str, message: bytes, now: datetime) -> bytes | None:
        """Return the bytes that had to be signed for this message, and close the question; None if it was not asked."""
        with self._lock:
            self._forget(now)
            asked = self._open.pop((session, purpose), None)
        return asked.message + asked.nonce if asked is not None and asked.message == message else None

    def _forget(self, now: datetime) -> None:
        for key, one in list(self._open.items()):
            if not timedelta(0) <= now - one.at <= STANDS:
                del self._open[key]
