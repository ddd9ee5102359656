"""Local accounts: who may log in, and what a refusal gives away."""

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from daemon.errors import LockedOutError, LoginRefusedError, PeopleError
from daemon.ledger import Ledger
from daemon.people import FREE_FAILURES, REFUSAL, People, Person
from tests.unit.daemon.lifecycle_examples import NOON

SECRET = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingHasher(PasswordHasher):
    """Counts how often argon2 really worked."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash, password):  # noqa: A002  # argon2's own name for it
        self.verified += 1
        return super().verify(hash, password)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def people(ledger):
    accounts = People(ledger, QUICK)
    accounts.add_person("mila", SECRET, ["ml_expert"], by="root", now=NOON)
    return accounts


def refused(people, name="mila", password="wrong password", now=NOON):
    with pytest.raises(LoginRefusedError) as refusal:
        people.check_password(name, password, now)
    return refusal


def test_the_right_password_says_who_it_is_and_what_they_may(people):
    assert people.check_password("mila", SECRET, NOON) == Person("mila", frozenset({"ml_expert"}))


def test_unknown_closed_and_wrong_cost_the_same_and_say_the_same(ledger):
    hasher = CountingHasher()
    people = People(ledger, hasher)
    for name in ("mila", "timo"):
        people.add_person(name, SECRET, ["viewer"], by="root", now=NOON)
    people.revoke("timo", "left", by="root", now=NOON)
    words, work = [], []
    for name, password in (("mila", "wrong password"), ("nobody", SECRET), ("timo", SECRET)):
        before = hasher.verified
        words.append(str(refused(people, name, password).value))
        work.append(hasher.verified - before)

    assert set(words) == {REFUSAL}
    assert work == [1, 1, 1]


def test_too_many_wrong_passwords_make_the_account_wait_longer_each_time(people):
    for _ in range(FREE_FAILURES):
        assert refused(people).type is LoginRefusedError
    waits, now = [], NOON
    for _ in range(8):
        refused(people, now=now)
        locked_until = people._ledger.accounts("mila")[0].locked_until
        waits.append((locked_until - now).total_seconds())
        assert refused(people, password=SECRET, now=now).type is LockedOutError
        now = locked_until

    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert people.check_password("mila", SECRET, now).name == "mila"
    assert people._ledger.accounts("mila")[0].failures == 0


def test_waiting_says_no_more_than_a_wrong_password_does(people):
    for _ in range(FREE_FAILURES + 2):
        last = refused(people)

    assert last.type is LockedOutError
    assert str(last.value) == REFUSAL


def test_a_new_password_ends_the_wait_and_the_old_one_is_void(people):
    for _ in range(FREE_FAILURES + 1):
        refused(people)
    people.set_password("mila", "another long password", by="root", now=NOON)

    assert people.check_password("mila", "another long password", NOON).name == "mila"
    refused(people, password=SECRET)


def test_a_closed_account_cannot_log_in_and_loses_its_voice(people):
    people.revoke("mila", "left", by="root", now=NOON)

    assert people.roles() == {}
    assert people.everybody() == []
    refused(people, password=SECRET)


def test_changed_roles_are_seen_at_once(people):
    people.set_roles("mila", ["ml_expert", "coordinator"], by="root", now=NOON)

    assert people.roles() == {"mila": frozenset({"ml_expert", "coordinator"})}


def test_every_change_is_in_the_chain_and_no_secret_is(people, ledger):
    people.set_roles("mila", ["viewer"], by="root", now=NOON)
    people.set_password("mila", "another long password", by="mila", now=NOON + timedelta(minutes=1))
    people.revoke("mila", "left", by="root", now=NOON + timedelta(minutes=2))

    stored = ledger.facts(subject="people")
    assert [one.fact.kind for one in stored] == ["person_added", "roles_changed", "password_changed", "key_revoked"]
    assert "argon2" not in str(stored)
    assert SECRET not in str(stored)


@pytest.mark.parametrize("name", ["", "M", "mila!", "root", "daemon", "1mila", "m" * 65, "mi la", "mila\n"])
def test_a_name_that_could_be_mistaken_is_no_account(people, name):
    with pytest.raises(PeopleError, match="cannot be an account name"):
        people.add_person(name, SECRET, ["viewer"], by="root", now=NOON)


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_too_short_or_too_long_is_refused(people, password):
    with pytest.raises(PeopleError, match="12 to 1024"):
        people.add_person("timo", password, ["viewer"], by="root", now=NOON)


def test_a_name_is_given_once_even_after_it_was_closed(people):
    people.revoke("mila", "left", by="root", now=NOON)

    with pytest.raises(PeopleError, match="has an account already"):
        people.add_person("mila", SECRET, ["viewer"], by="root", now=NOON)


def test_an_unknown_role_is_refused_and_the_known_ones_are_named(people):
    with pytest.raises(PeopleError, match=r"king.*ml_expert"):
        people.set_roles("mila", ["king"], by="root", now=NOON)


@pytest.mark.parametrize("change", ["set_roles", "set_password", "revoke"])
def test_who_has_no_account_cannot_be_changed(people, change):
    what = {"set_roles": ["viewer"], "set_password": SECRET, "revoke": "left"}[change]

    with pytest.raises(PeopleError, match="no open account"):
        getattr(people, change)("nobody", what, by="root", now=NOON)


def test_the_passwords_are_kept_as_argon2id_at_full_strength(ledger):
    People(ledger).add_person("timo", SECRET, ["viewer"], by="root", now=NOON)

    kept = ledger.accounts("timo")[0].password_hash
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
