"""Whose account an identity of a single sign-on opens, and with which roles.

The first sign-on opens an account without a password.  A name that is taken is never handed over: a person on the host
links it.  The roles of a linked account are those that the issuer's groups give, at every sign-on anew.
"""

import secrets
from dataclasses import replace
from datetime import datetime

from argon2 import PasswordHasher

from daemon.errors import LoginRefusedError, PeopleError
from daemon.ledger import Account, Ledger
from daemon.lifecycle.facts import PersonAdded, RolesChanged
from daemon.lifecycle.key_facts import IdentityLinked
from daemon.people import NAME, RESERVED, Person
from daemon.sign_on import Identity

ACTOR = "sign-on"


def admit(ledger: Ledger, identity: Identity, now: datetime) -> Person:
    """Return the person of this identity, their account opened or their roles changed first where need be.

    Raises:
        LoginRefusedError: The account is closed, the name is taken by somebody else, or it can be none.
    """
    name = ledger.doors.person_of(identity.issuer, identity.subject) or _new_account(ledger, identity, now)
    account = ledger.accounts(name)[0]
    if account.revoked_at is not None:
        raise LoginRefusedError(f"the account {name} is closed; ask the coordinator")
    if account.roles != identity.roles:
        fact = RolesChanged(at=now, actor=ACTOR, person=name, roles=tuple(sorted(identity.roles)))
        ledger.put_account(replace(account, roles=identity.roles), fact)
    return Person(name, identity.roles)


def link(ledger: Ledger, person: str, issuer: str, subject: str, *, by: str, now: datetime) -> None:
    """Let an identity open an account that exists.

    Raises:
        PeopleError: There is no such open account, or one of the two is linked already.
    """
    account = next(iter(ledger.accounts(person)), None)
    if account is None or account.revoked_at is not None:
        raise PeopleError(f"{person} has no open account; add one first")
    if other := ledger.doors.person_of(issuer, subject):
        raise PeopleError(f"{subject} of {issuer} opens the account of {other} already")
    if any(one.person == person for one in _links(ledger)):
        raise PeopleError(f"{person} has an identity already; one person has one")
    fact = IdentityLinked(at=now, actor=by, person=person, issuer=issuer, identity=subject)
    ledger.doors.link(issuer, subject, person, fact)


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
    added = PersonAdded(at=now, actor=ACTOR, person=name, roles=tuple(sorted(identity.roles)))
    nobodys = PasswordHasher().hash(secrets.token_urlsafe(32))  # costs a guess as much as any other account's
    ledger.put_account(Account(person=name, password_hash=nobodys, roles=identity.roles), added)
    link(ledger, name, identity.issuer, identity.subject, by=ACTOR, now=now)
    return name
