"""Whose account an identity of a single sign-on opens, and with which roles.

The first sign-on opens an account without a password and, since its person may have a local account under another name
and must not count twice, without a role until a root confirms it; unless all accounts come from the issuer.  A name
that is taken is never handed over: a root links it.  Roles are those that the issuer's groups give, at each one anew.
"""

import secrets
from dataclasses import replace
from datetime import datetime

from argon2 import PasswordHasher

from daemon.errors import LoginRefusedError, PeopleError
from daemon.ledger import Account, Ledger
from daemon.lifecycle.facts import KeyRevoked, PersonAdded, RolesChanged
from daemon.lifecycle.key_facts import IdentityLinked
from daemon.people import NAME, RESERVED, Person, person_of
from daemon.sign_on import Identity

ACTOR = "sign-on"


def admit(ledger: Ledger, identity: Identity, now: datetime, *, all_from_issuer: bool = False) -> Person:
    """Return the person of this identity, their account opened or their roles changed first where need be.

    With `all_from_issuer` nobody can hold a second account, so that roles count from the first sign-on.

    Raises:
        LoginRefusedError: The account is closed, the name is taken by somebody else, or it can be none.
    """
    name = ledger.doors.person_of(identity.issuer, identity.subject) or _new_account(ledger, identity, now)
    roles = identity.roles if all_from_issuer or _confirmed(ledger, name) else frozenset[str]()
    account = ledger.accounts(name)[0]
    if account.revoked_at is not None:
        raise LoginRefusedError(f"the account {name} is closed; ask the coordinator")
    if account.roles != roles:
        fact = RolesChanged(at=now, actor=ACTOR, person=name, roles=tuple(sorted(roles)))
        ledger.put_account(replace(account, roles=roles), fact)
    return person_of(replace(account, roles=roles))


def link(ledger: Ledger, person: str, issuer: str, subject: str, *, by: str, now: datetime) -> None:
    """Let an identity open an account that exists; one that a first sign-on opened for it, unconfirmed, is closed.

    Raises:
        PeopleError: There is no such open account, or one of the two is linked already.
    """
    account = next(iter(ledger.accounts(person)), None)
    if account is None or account.revoked_at is not None:
        raise PeopleError(f"{person} has no open account; add one first")
    other = ledger.doors.person_of(issuer, subject)
    if other and (other == person or _confirmed(ledger, other)):
        raise PeopleError(f"{subject} of {issuer} opens the account of {other} already")
    if any(one.person == person for one in _links(ledger)):
        raise PeopleError(f"{person} has an identity already; one person has one")
    fact = IdentityLinked(at=now, actor=by, person=person, issuer=issuer, identity=subject)
    ledger.doors.link(issuer, subject, person, fact, instead_of=other)
    if other:
        closed = KeyRevoked(at=now, actor=by, person=other, reason=f"its person is {person}")
        ledger.put_account(replace(ledger.accounts(other)[0], revoked_at=now), closed)


def confirm(ledger: Ledger, person: str, *, by: str, now: datetime) -> IdentityLinked:
    """Say that an account which a first sign-on opened is its person's only one; their roles count from the next one.

    Raises:
        PeopleError: There is no such open account, nobody signed on to it, or it was linked or confirmed before.
    """
    account = next(iter(ledger.accounts(person)), None)
    theirs = [one for one in _links(ledger) if one.person == person]
    if account is None or account.revoked_at is not None or not theirs:
        raise PeopleError(
            f"{person} has no open account that a sign-on opened; to link a local one, say --issuer and --subject"
        )
    if _confirmed(ledger, person):
        raise PeopleError(f"{theirs[-1].identity} of {theirs[-1].issuer} speaks for {person} already")
    fact = replace(theirs[-1], at=now, actor=by)
    ledger.append("people", (fact,))
    return fact


def _confirmed(ledger: Ledger, person: str) -> bool:
    return any(one.person == person and one.actor != ACTOR for one in _links(ledger))


def _links(ledger: Ledger) -> list[IdentityLinked]:
    stored = ledger.facts(subject="people", kind=IdentityLinked.kind)
    return [one.fact for one in stored if isinstance(one.fact, IdentityLinked)]


def _new_account(ledger: Ledger, identity: Identity, now: datetime) -> str:
    name = identity.name
    if not NAME.fullmatch(name) or name in RESERVED:
        raise LoginRefusedError(f"{name!r} cannot be an account name here; ask the coordinator for a local account")
    if ledger.accounts(name):
        raise LoginRefusedError(
            f"the name {name} has an account here that this sign-on does not open; if it is yours, ask for: "
            f"retrigger people link {name} --issuer {identity.issuer} --subject {identity.subject}"
        )
    added = PersonAdded(at=now, actor=ACTOR, person=name, roles=())
    nobodys = PasswordHasher().hash(secrets.token_urlsafe(32))  # costs a guess as much as any other account's
    ledger.put_account(Account(person=name, password_hash=nobodys, roles=frozenset()), added)
    link(ledger, name, identity.issuer, identity.subject, by=ACTOR, now=now)
    return name
