"""Who is logged in: sessions kept on the server, named by a random token in a cookie.

Only the SHA-256 of a token is kept, a session ends after half an hour without use or twelve hours in any case, and a
new log-in always gets a new token.  A session bears the mark of the password under which it began, so that a new one
ends it (`Office.person_of`).  A restart logs everybody out; that loses nothing.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
MOST_SESSIONS = 1000
MOST_OF_ONE_PERSON = 10


@dataclass(frozen=True)
class Session:
    """One log-in of one person; `form_token` must come back with every form that changes something.

    `how` they logged in is ``password``, ``sign-on`` or ``proxy``; `mark` is that of `daemon.people.Person` then.
    """

    person: str
    form_token: str
    begun: datetime
    used: datetime
    how: str = "password"
    mark: str = ""

    def fits(self, form_token: str) -> bool:
        """Return whether a form bears the token of this session."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


class Sessions:
    """All log-ins of this process; safe to use from several threads."""

    def __init__(self, tokens: Callable[[], str]) -> None:
        """Take `tokens`, which returns a new unguessable text of at least 128 bits at each call."""
        self._tokens = tokens
        self._kept: dict[str, Session] = {}
        self._lock = Lock()
        self._latest: datetime | None = None

    def begin(self, person: str, now: datetime, how: str = "password", mark: str = "") -> str:
        """Return the token of a new session; the person's oldest ones end when there are too many."""
        token = self._tokens()
        with self._lock:
            now = self._forget(now)
            own = sorted((one.used, key) for key, one in self._kept.items() if one.person == person)
            everybody = sorted((one.used, key) for key, one in self._kept.items())
            surplus = own[: max(0, len(own) + 1 - MOST_OF_ONE_PERSON)]
            surplus += everybody[: max(0, len(everybody) + 1 - MOST_SESSIONS)]
            for _, key in surplus:
                self._kept.pop(key, None)
            self._kept[_key(token)] = Session(person, self._tokens(), now, now, how, mark)
        return token

    def find(self, token: str, now: datetime) -> Session | None:
        """Return the session of this token, used now; None if there is none or it ended."""
        with self._lock:
            now = self._forget(now)
            session = self._kept.get(_key(token))
            if session is not None:
                session = self._kept[_key(token)] = replace(session, used=now)
            return session

    def end(self, token: str) -> None:
        """Forget the session; unknown tokens are fine."""
        with self._lock:
            self._kept.pop(_key(token), None)

    def _forget(self, now: datetime) -> datetime:
        """Forget what ended, on a clock that never goes back, and return its time."""
        now = self._latest = max(now, self._latest or now)
        for key, one in list(self._kept.items()):
            if now - one.used > IDLE or now - one.begun > LONGEST:
                del self._kept[key]
        return now


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
