"""Who may speak: local accounts, their roles, and whether a password is right.

Passwords are kept as argon2id hashes.  A name that is unknown, an account that is closed, a wrong password and a
locked account cost the same work and give the same words, so that nobody learns which of them it was.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from daemon.errors import LockedOutError, LoginRefusedError, PeopleError, RecordKeyError
from daemon.ledger import Account, Ledger
from daemon.lifecycle.facts import KeyRevoked, PasswordChanged, PersonAdded, RolesChanged
from daemon.lifecycle.key_facts import SigningKeyAdded, SigningKeyRevoked
from daemon.lifecycle.policy import ROLES
from daemon.lifecycle.signing import ED25519, PersonKey, key_id_of

NAME = re.compile(r"[a-z][a-z0-9._-]{1,63}")
RESERVED = frozenset({"daemon", "people", "root", "anonymous", "sign-on"})
SHORTEST, LONGEST = 12, 1024  # characters of a password
FREE_FAILURES = 4  # wrong passwords in a row before the account waits
FIRST_WAIT_S, LONGEST_WAIT_S = 30, 900
REFUSAL = (
    "name or password is wrong, or the account waits after too many attempts; check both, or try again in 15 minutes"
)


@dataclass(frozen=True)
class Person:
    """Somebody with an open account.

    Attributes:
        name: Of the account.
        roles: Held now.
        mark: Changes with every new password and tells nothing of it: what was opened under another one is over.
    """

    name: str
    roles: frozenset[str]
    mark: str = field(default="", compare=False)


@dataclass(frozen=True)
class Tries:
    """How often in a row a password was wrong, and until when nobody may try again."""

    failures: int = 0
    locked_until: datetime | None = None

    def failed(self, now: datetime) -> "Tries":
        """Return what one more wrong password makes of it."""
        failures = self.failures + 1
        wait_s = min(FIRST_WAIT_S * 2 ** min(failures - FREE_FAILURES - 1, 10), LONGEST_WAIT_S)
        return Tries(failures, now + timedelta(seconds=wait_s) if failures > FREE_FAILURES else None)


class Knocks:
    """Wrong passwords of those who are nobody yet, by account: kept in memory, and gone with a new password."""

    def __init__(self) -> None:
        self._tries: dict[tuple[str, str], Tries] = {}
        self._lock = Lock()

    def of(self, account: Account) -> Tries:
        """Return what was counted for an account under its present password."""
        with self._lock:
            return self._tries.get((account.person, account.password_hash), Tries())

    def note(self, account: Account, tries: Tries) -> None:
        """Count anew for an account; there are never more of them than accounts and their passwords."""
        with self._lock:
            self._tries[account.person, account.password_hash] = tries


class People:
    """The local accounts in one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        hasher: PasswordHasher | None = None,
        *,
        is_machine: Callable[[str], bool] = lambda _public: False,
    ) -> None:
        """Take the ledger, and what knows the daemon's own public keys (hex), which never speak for a person."""
        self._ledger = ledger
        self._hasher = hasher or PasswordHasher()
        self._is_machine = is_machine

    def add_person(self, name: str, password: str, roles: Iterable[str], *, by: str, now: datetime) -> Person:
        """Open an account.

        Raises:
            PeopleError: The name is taken, malformed or reserved, a role is unknown, or the password is too short.
        """
        if not NAME.fullmatch(name) or name in RESERVED:
            raise PeopleError(
                f"{name!r} cannot be an account name; take 2 to 64 of a-z 0-9 . _ - starting with a letter, "
                f"and none of {', '.join(sorted(RESERVED))}"
            )
        if self._ledger.accounts(name):
            raise PeopleError(f"{name} has an account already (a closed one keeps its name); choose another name")
        held = _known(roles)
        fact = PersonAdded(at=now, actor=by, person=name, roles=tuple(sorted(held)))
        self._ledger.put_account(Account(person=name, password_hash=self._hash(password), roles=held), fact)
        return Person(name, held)

    def set_roles(self, name: str, roles: Iterable[str], *, by: str, now: datetime) -> Person:
        """Give a person these roles and no others; approvals that need a lost role go stale.

        Raises:
            PeopleError: There is no such open account, a role is unknown, or nobody would be root any more.
        """
        account, held = self._open_account(name), _known(roles)
        if "root" not in held:
            self._keep_a_root(account)
        fact = RolesChanged(at=now, actor=by, person=name, roles=tuple(sorted(held)))
        self._ledger.put_account(replace(account, roles=held), fact)
        return Person(name, held)

    def set_password(self, name: str, password: str, *, by: str, now: datetime) -> None:
        """Set a person's password anew and end any wait.

        Raises:
            PeopleError: There is no such open account, or the password is too short.
        """
        account = replace(self._open_account(name), password_hash=self._hash(password))
        self._ledger.put_account(account, PasswordChanged(at=now, actor=by, person=name))
        self._ledger.note_login(name, 0, None)

    def revoke(self, name: str, reason: str, *, by: str, now: datetime) -> None:
        """Close an account for good; approvals that rest on it go stale.

        Raises:
            PeopleError: There is no such open account, the reason is missing, or nobody would be root any more.
        """
        account = self._open_account(name)
        if not reason.strip():
            raise PeopleError("to close an account, state one reason; it goes into the record")
        self._keep_a_root(account)
        fact = KeyRevoked(at=now, actor=by, person=name, reason=reason.strip())
        self._ledger.put_account(replace(account, revoked_at=now), fact)

    def check_password(self, name: str, password: str, now: datetime, knocks: Knocks | None = None) -> Person:
        """Return the person whose password this is.

        Who is nobody yet, as at the log-in of the page, brings `knocks`: wrong passwords are counted there then, and
        make nobody wait who is inside a session or at a terminal.

        Raises:
            LockedOutError: The account waits after too many wrong passwords; says the same as the next.
            LoginRefusedError: Unknown name, closed account or wrong password.
        """
        account = self._account(name)
        right = self._matches(account.password_hash if account else self._nobodys_hash, password)
        if account is None or account.revoked_at is not None:
            raise LoginRefusedError(REFUSAL)
        seen = Tries(account.failures, account.locked_until) if knocks is None else knocks.of(account)
        if seen.locked_until is not None and now < seen.locked_until:
            raise LockedOutError(REFUSAL)
        if not right:
            self._note(account, seen.failed(now), knocks)
            raise LoginRefusedError(REFUSAL)
        if seen.failures:
            self._note(account, Tries(), knocks)
        return person_of(account)

    def find(self, name: str) -> Person | None:
        """Return who has the open account of this name, None if nobody has."""
        account = self._account(name)
        return None if account is None or account.revoked_at is not None else person_of(account)

    def everybody(self) -> list[Person]:
        """Return every open account, by name."""
        return [Person(one.person, one.roles) for one in self._ledger.accounts() if one.revoked_at is None]

    def roles(self) -> dict[str, frozenset[str]]:
        """Return the roles held now, by person, as `World.people` wants them."""
        return {person.name: person.roles for person in self.everybody()}

    def add_key(self, name: str, public: str, *, by: str, now: datetime) -> PersonKey:
        """Let a public Ed25519 key, in hex, speak for a person.

        Raises:
            PeopleError: There is no such open account, it is no such key, it is a key of the daemon's own, or it was
                registered before: a key speaks for one person, and a revoked one for nobody again.
            RecordKeyError: The daemon's own keys cannot be read, so that nobody knows whether it is one of them.
        """
        self._open_account(name)
        try:
            key_id = key_id_of(public)
        except ValueError as error:
            raise PeopleError(f"this is no public key: {error}; `retrigger people keygen` prints one") from error
        if self._is_machine(public):
            raise PeopleError(
                f"the key {key_id[:16]} is the daemon's own, which signs record or bundles and never speaks for a "
                "person; make one: retrigger people keygen"
            )
        if any(one.key_id == key_id for one in self._keys_ever()):
            raise PeopleError(f"the key {key_id[:16]} was registered before; make a new one: retrigger people keygen")
        fact = SigningKeyAdded(at=now, actor=by, person=name, key_id=key_id, public=public.lower())
        self._ledger.append("people", (fact,))
        return PersonKey(key_id=key_id, person=name, public=public.lower())

    def revoke_key(self, key_id: str, reason: str, *, by: str, now: datetime) -> PersonKey:
        """Take a key's voice for good; approvals signed with it go stale.  The first characters of its id suffice.

        Raises:
            PeopleError: No key that speaks for somebody has this id, or several have; or the reason is missing.
        """
        found = [key for each, key in self.keys().items() if key_id and each.startswith(key_id)]
        if len(found) != 1:
            raise PeopleError(f"{len(found)} keys begin with {key_id!r}; `retrigger people list` shows them")
        if not reason.strip():
            raise PeopleError("to revoke a key, state one reason; it goes into the record")
        key = found[0]
        fact = SigningKeyRevoked(at=now, actor=by, person=key.person, key_id=key.key_id, reason=reason.strip())
        self._ledger.doors.revoke_key(key.key_id, now, fact)
        return key

    def keys(self) -> dict[str, PersonKey]:
        """Return the keys that speak for somebody now, by id, as `World.keys` wants them; the daemon's own never do."""
        revoked = {
            one.fact.key_id
            for one in self._ledger.facts(subject="people", kind=SigningKeyRevoked.kind)
            if isinstance(one.fact, SigningKeyRevoked)
        }
        there = self.roles()
        return {
            one.key_id: PersonKey(key_id=one.key_id, person=one.person, public=one.public, kind=one.key_kind)
            for one in self._keys_ever()
            if one.key_id not in revoked and one.person in there and not self._surely_machine(one)
        }

    def _surely_machine(self, key: SigningKeyAdded) -> bool:
        try:
            return key.key_kind == ED25519 and self._is_machine(key.public)
        except RecordKeyError:  # another user's eyes; the daemon itself reads its keys, and it alone writes a board
            return False

    def _keys_ever(self) -> list[SigningKeyAdded]:
        stored = self._ledger.facts(subject="people", kind=SigningKeyAdded.kind)
        return [one.fact for one in stored if isinstance(one.fact, SigningKeyAdded)]

    @cached_property
    def _nobodys_hash(self) -> str:
        return self._hasher.hash("nobody has this password")

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return len(password) <= LONGEST and self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    def _hash(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise PeopleError(f"the password has {len(password)} characters; use {SHORTEST} to {LONGEST}")
        return self._hasher.hash(password)

    def _note(self, account: Account, tries: Tries, knocks: Knocks | None) -> None:
        if knocks is None:
            self._ledger.note_login(account.person, tries.failures, tries.locked_until)
        else:
            knocks.note(account, tries)

    def _keep_a_root(self, account: Account) -> None:
        """Refuse to lose the last root: then anybody on the host could open the next one."""
        others = [one for one in self.everybody() if one.name != account.person]
        if "root" in account.roles and not any("root" in one.roles for one in others):
            raise PeopleError(f"{account.person} is the only root; give the role to somebody else first")

    def _account(self, name: str) -> Account | None:
        """Return the account of this name; what is no name is not looked for: no database holds every text."""
        return next(iter(self._ledger.accounts(name)), None) if NAME.fullmatch(name) else None

    def _open_account(self, name: str) -> Account:
        account = self._account(name)
        if account is None or account.revoked_at is not None:
            raise PeopleError(f"{name} has no open account; add one first")
        return account


def person_of(account: Account) -> Person:
    """Return whose row this is, with their roles and the mark of their password."""
    return Person(account.person, account.roles, hashlib.sha256(account.password_hash.encode()).hexdigest())


def _known(roles: Iterable[str]) -> frozenset[str]:
    held = frozenset(roles)
    if unknown := sorted(held - set(ROLES)):
        raise PeopleError(f"unknown role {', '.join(unknown)}; choose from {', '.join(ROLES)}")
    return held
