"""Accounts change by command line: by a root, by their owner, and by nobody else."""

from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from daemon.cli import app
from daemon.errors import LoginRefusedError, PeopleError, RefusedError
from daemon.ledger import Ledger
from daemon.people import People

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NEW = "a new and long secret"


def secret(name):
    return f"the long secret of {name}"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "retrigger.toml").write_text("")
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        people = People(ledger, QUICK)
        for name, role in (("rita", "root"), ("mila", "ml_expert"), ("timo", "trigger_oncall")):
            people.add_person(name, secret(name), [role], by="setup", now=NOON)
    return tmp_path


def say(home, *words, person, stdin=""):
    """Say one verb of `people` as somebody; returns what went wrong, None if nothing did."""
    asked = ["people", *words, "--config", str(home / "retrigger.toml"), "--person", person, "--password-stdin"]
    return CliRunner().invoke(app, asked, input=f"{secret(person)}\n{stdin}").exception


@pytest.fixture
def record(home):
    with Ledger.open(f"sqlite:///{home}/ledger.db") as ledger:
        yield ledger


def newest(record):
    return record.facts(subject="people")[-1].fact


def test_a_root_takes_and_gives_roles_of_others(home, record):
    assert say(home, "roles", "mila", "ml_expert", "firmware_expert", person="rita") is None

    assert People(record).roles()["mila"] == {"ml_expert", "firmware_expert"}
    assert (newest(record).kind, newest(record).actor) == ("roles_changed", "rita")


def test_nobody_changes_roles_without_root_nor_their_own(home, record):
    head = record.head()
    plain = say(home, "roles", "timo", "viewer", person="mila")
    own = say(home, "roles", "rita", "root", "ml_expert", person="rita")

    assert isinstance(plain, RefusedError)
    assert "mila may not change roles; it takes the role root" in str(plain)
    assert isinstance(own, RefusedError)
    assert "another root does it" in str(own)
    assert record.head() == head


def test_a_root_closes_an_account_and_says_why(home, record):
    assert say(home, "close", "mila", "--reason", "left the group", person="rita") is None

    assert "mila" not in People(record).roles()
    assert (newest(record).kind, newest(record).actor, newest(record).reason) == (
        "key_revoked",
        "rita",
        "left the group",
    )
    with pytest.raises(LoginRefusedError):
        People(record).check_password("mila", secret("mila"), NOON)


def test_no_account_is_closed_without_root_a_reason_or_a_root_that_stays(home, record):
    head = record.head()
    plain = say(home, "close", "timo", "--reason", "why not", person="mila")
    unreasoned = say(home, "close", "timo", "--reason", " ", person="rita")
    last = say(home, "close", "rita", "--reason", "left", person="rita")

    assert isinstance(plain, RefusedError)
    assert isinstance(unreasoned, PeopleError)
    assert "state one reason" in str(unreasoned)
    assert isinstance(last, PeopleError)
    assert "rita is the only root" in str(last)
    assert record.head() == head


def test_the_last_root_keeps_the_role_until_there_is_another(record, home):
    people = People(record, QUICK)
    with pytest.raises(PeopleError, match="only root"):
        people.set_roles("rita", ["viewer"], by="sign-on", now=NOON)
    people.set_roles("timo", ["root"], by="rita", now=NOON)

    assert people.set_roles("rita", ["viewer"], by="timo", now=NOON).roles == {"viewer"}


def test_a_password_is_changed_by_its_owner_with_the_old_one(home, record):
    wrong = say(home, "password", "timo", person="mila", stdin=f"{NEW}\n")
    assert say(home, "password", "mila", person="mila", stdin=f"{NEW}\n") is None

    assert isinstance(wrong, RefusedError)
    assert "their own password only" in str(wrong)
    assert People(record).check_password("mila", NEW, NOON).name == "mila"
    assert newest(record).actor == "mila"
    assert isinstance(say(home, "password", "mila", person="mila", stdin=f"{NEW}\n"), LoginRefusedError)


def test_a_root_sets_the_password_of_somebody_who_forgot_it(home, record):
    assert say(home, "password", "timo", person="rita", stdin=f"{NEW}\n") is None

    assert People(record).check_password("timo", NEW, NOON).name == "timo"
    assert (newest(record).kind, newest(record).actor) == ("password_changed", "rita")


ISSUER = ("--issuer", "https://auth.example", "--subject", "4711")


def test_a_root_links_an_identity_and_stands_in_the_record_for_it(home, record):
    assert say(home, "link", "mila", *ISSUER, person="rita") is None

    assert record.doors.person_of("https://auth.example", "4711") == "mila"
    assert (newest(record).kind, newest(record).actor) == ("identity_linked", "rita")


def test_nobody_links_without_root_nor_themselves_nor_half(home, record):
    head = record.head()
    plain = say(home, "link", "timo", *ISSUER, person="mila")
    own = say(home, "link", "rita", *ISSUER, person="rita")
    half = say(home, "link", "mila", *ISSUER[:2], person="rita")

    assert [type(one) for one in (plain, own, half)] == [RefusedError] * 3
    assert "takes the role root" in str(plain)
    assert "another root links it" in str(own)
    assert "both --issuer and --subject" in str(half)
    assert record.head() == head
