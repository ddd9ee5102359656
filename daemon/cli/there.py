"""The desk at a retrigger elsewhere: each verb becomes one question or one word of its API."""

import getpass
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Literal

import httpx

from daemon import quieting
from daemon.assemble import utc_now
from daemon.cli import say
from daemon.cli.desk import Desk, Row, Word
from daemon.cli.identity import asked_password, signer
from daemon.cli.kept_login import Kept, forget, kept_at
from daemon.decisions import Signer
from daemon.errors import RefusedError, RetriggerError, ServerError, StalePageError
from daemon.ledger import History, Outcome
from daemon.lifecycle import signing
from daemon.lifecycle.codec import build
from daemon.rarer_decisions import require_hours
from daemon.record.asked import Told
from daemon.remote import Remote, Visitor, address_of
from daemon.switches import Switch

CODED = frozenset({"approve", "reject", "confirm", "break-glass", "waive"})


def remote_at(url: str, kept: Kept | None = None, transport: httpx.BaseTransport | None = None) -> Remote:
    """Return the client of a server, with the session that is kept for it."""
    cookie = (kept.cookie_name, kept.cookie) if kept else None

    def wait(seconds: float) -> None:
        say.complaint(f"{url} does not answer yet; asked again in {seconds:g} s (a word is recorded once all the same)")
        time.sleep(seconds)

    return Remote(url, keys=lambda: uuid.uuid4().hex, sleep=wait, cookie=cookie, transport=transport)


@contextmanager
def there(
    server: str,
    *,
    plain_http: bool,
    person: str,
    password_stdin: bool,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Desk]:
    """Reach a server; a session that was begun for this one verb ends with it, one of `retrigger login` stays."""
    url = address_of(server, plain_http=plain_http)
    kept = kept_at(url)
    kept = kept if kept and person in {"", kept.person} else None
    remote = remote_at(url, kept, transport)
    far = There(remote, person or (kept.person if kept else ""), password_stdin=password_stdin)
    try:
        yield far
    except ServerError:
        raise  # nobody is there to log out at
    except RetriggerError:
        far.leave()
        raise
    else:
        far.leave()
    finally:
        remote.close()


class There:
    """See `Desk`; whoever reads is logged in, and whoever says something gives the password as well."""

    def __init__(self, remote: Remote, person: str, *, password_stdin: bool) -> None:
        """Take the client, and whose account it is; empty: the login name of this machine."""
        self._remote, self._name, self._stdin = remote, person or getpass.getuser(), password_stdin
        self._visitor: Visitor | None = None
        self._password = ""
        self._own = False

    @property
    def place(self) -> str:
        """See `Desk.place`."""
        return self._remote.url

    def leave(self) -> None:
        """End a session that was begun for this verb; that it cannot be ended takes nothing back from what was said."""
        if self._own:
            with suppress(RetriggerError):
                self._remote.log_out()

    def enter(self, *, password: bool) -> Visitor:
        """Be somebody there: reach the server first, then ask for a password where one is needed.

        Raises:
            LoginRefusedError: It is wrong, or nobody is there to type it.
        """
        if self._visitor is None:
            self._visitor = self._remote.visitor()
            if self._visitor is None:
                forget(self._remote.url)
        if (self._visitor is None or password) and not self._password:
            self._password = asked_password(self._name, password_stdin=self._stdin, at=self._remote.url)
        if self._visitor is None:
            self._visitor = self._remote.log_in(self._name, self._password)
            self._own = True
        elif self._password:
            self._remote.remember(self._name, self._password)
        return self._visitor

    def rows(self) -> list[Row]:
        """See `Desk.rows`."""
        return [
            Row(
                one["id"],
                one["phase"],
                one["trigger"],
                one["reason"],
                one["bundle_digest"],
                tuple(one["missing_roles"]),
                one["closing"],
            )
            for one in self._read("/candidates")
        ]

    def story(self, candidate_id: str) -> dict[str, Any]:
        """See `Desk.story`."""
        told: dict[str, Any] = self._read(f"/candidates/{_safe(candidate_id)}")["story"]
        return told

    def say(self, word: Word) -> dict[str, Any]:
        """See `Desk.say`."""
        sign = signer(word.key)  # a key that cannot be read is said before a password is asked for
        me = self.enter(password=True)
        path = f"/candidates/{_safe(word.candidate)}"
        seen = self._remote.read(path)
        body = {**_body(word, seen), **(_signed(word, seen, me, sign) if sign else {}), "password": self._password}
        told = self._remote.say(f"{path}/{word.says}", body, about=seen["story"]["request"] or "none")
        return dict(told["story"])

    def status(self) -> dict[str, Any]:
        """See `Desk.status`."""
        told: dict[str, Any] = self._read("/status")
        return told

    def alarms(self) -> list[dict[str, Any]]:
        """See `Desk.alarms`."""
        told: list[dict[str, Any]] = self._read("/alarms")
        return told

    def close_alarm(self, alarm_id: str, reason: str) -> None:
        """See `Desk.close_alarm`."""
        self._say(f"/faults/{_safe(alarm_id)}/close", {"reason": reason})

    def acknowledge(self, alarm_id: str, reason: str) -> str:
        """See `Desk.acknowledge`."""
        self.enter(password=False)
        return str(self._remote.say(f"/alarms/{_safe(alarm_id)}/acknowledge", {"reason": reason})["by"])

    def silence(self, alarm_id: str, reason: str, hours: float) -> str:
        """See `Desk.silence`."""
        quieting.require_hours(hours)
        self.enter(password=False)
        body = {"reason": reason, "hours": hours}
        return str(self._remote.say(f"/alarms/{_safe(alarm_id)}/silence", body)["until"])

    def train(self, reason: str, action: Literal["weights", "threshold"]) -> str:
        """See `Desk.train`."""
        return str(self._say("/training", {"reason": reason, "action": action})["by"])

    def switch(self, what: Switch, reason: str) -> tuple[str, str]:
        """See `Desk.switch`."""
        said = self._say(f"/daemon/{what}", {"reason": reason})
        return str(said["said"]), str(said["by"])

    def ran(self, run: int, lumisection: int, slot: str) -> tuple[History, Outcome | None, str]:
        """See `Desk.ran`."""
        told = dict(self._read("/history", run=run, lumisection=lumisection, slot=slot))
        outcome, stream = told.pop("outcome"), str(told.pop("stream"))
        return build(History, told), None if outcome is None else build(Outcome, outcome), stream

    def told(self, *, digest: str = "", person: str = "") -> list[Told]:
        """See `Desk.told`."""
        return [build(Told, one) for one in self._read("/history", digest=digest, person=person)]

    def _read(self, path: str, **asked: str | int) -> Any:
        self.enter(password=False)
        return self._remote.read(path, **asked)

    def _say(self, path: str, body: dict[str, Any]) -> Any:
        self.enter(password=True)
        return self._remote.say(path, {**body, "password": self._password})


def _body(word: Word, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a word says, without what shows who says it."""
    body: dict[str, Any] = {"reason": signing.one_form(word.reason)}
    if word.says in CODED:
        body["code"] = word.code
    if word.role:
        body["role"] = word.role
    if word.says == "reject":
        body["klass"] = word.klass
    if word.says == "waive":
        require_hours(word.hours)
        body |= {"gate": word.gate, "hours": word.hours, "evidence_root": seen["story"]["evidence"]}
    return body


def _signed(word: Word, seen: Mapping[str, Any], me: Visitor, sign: Signer) -> dict[str, Any]:
    """Return the signature of the statement that the record will hold, made here, and what of it the server must know.

    The code that they typed is held against what is signed, here, where the key is: a server that names another request
    than they saw gets no signature of it.  (The code of what is in shadow is of its phase too; the server checks it.)

    Raises:
        RefusedError: They hold no role for it.
        StalePageError: The code is of something else than what the server names.
    """
    role = word.role or str(seen["roles"].get(word.says, ""))
    if not role:
        raise RefusedError(f"{me.name} holds no role in which to {word.says} {word.candidate} now; nothing was said")
    reason, story = signing.one_form(word.reason), seen["story"]
    about = str(story["evidence" if word.says == "waive" else "request"])
    if word.says != "confirm" and word.code.strip().lower() != f"{word.candidate}-{about[:4]}".lower():
        raise StalePageError(
            f"{word.candidate}: the code {word.code!r} is not that of {about[:16] or 'what is open'}, which the server "
            f"names now; nothing was signed.  Look at it again: retrigger show {word.candidate}"
        )
    if word.says == "waive":
        until = utc_now() + timedelta(hours=word.hours)
        made = sign(signing.waiver(word.candidate, story["evidence"], word.gate, me.name, role, reason, until))
        more = {"expires_at": until.isoformat()}
    else:
        made = sign(signing.OF_A_REQUEST[word.says](word.candidate, story["request"], me.name, role, reason))
        more = {"role": role} if word.says == "approve" else {}
    return {"signature": {"key_id": made.key_id, "value": made.value}, **more}


def _safe(name: str) -> str:
    """Return a name as part of a path; what cannot be one is refused before it is sent."""
    if not name or any(not (letter.isalnum() or letter in "-_.:") for letter in name) or name.startswith("."):
        raise RefusedError(
            f"{name!r} is no name of a candidate or an alarm; `retrigger candidates` and `alarms` list them"
        )
    return name
