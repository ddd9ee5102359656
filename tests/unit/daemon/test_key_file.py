"""Private keys on disk, and the keys that speak for people."""

from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon import config
from daemon.assemble import parts
from daemon.errors import PeopleError, RecordKeyError
from daemon.key_file import make_key, read_key
from daemon.ledger import Ledger
from daemon.lifecycle.signing import key_id_of
from daemon.people import People
from daemon.record import is_machine, own_key
from tests.unit.daemon.lifecycle_examples import NOON

SECRET = "correct horse battery"
ONE, TWO = "11" * 32, "22" * 32


@pytest.fixture
def people(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        accounts = People(opened, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        for name in ("mila", "timo"):
            accounts.add_person(name, SECRET, ["ml_expert"], by="root", now=NOON)
        yield accounts


def test_a_key_is_made_for_its_owner_alone_and_read_again(tmp_path):
    public = make_key(tmp_path / "key")

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert read_key(tmp_path / "key").public_key().public_bytes_raw().hex() == public


def test_a_key_is_never_overwritten(tmp_path):
    make_key(tmp_path / "key")

    with pytest.raises(PeopleError, match="never overwritten"):
        make_key(tmp_path / "key")


def test_a_key_that_others_may_read_is_refused(tmp_path):
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)

    with pytest.raises(PeopleError, match="chmod 600"):
        read_key(tmp_path / "key")


def test_what_is_no_ed25519_key_is_refused(tmp_path):
    other = generate_private_key(SECP256R1())
    for name, content in (
        ("ec", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        ("text", b"x"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(PeopleError, match="key"):
            read_key(path)

    with pytest.raises(PeopleError, match="nowhere"):
        read_key(tmp_path / "nowhere")


def test_a_key_speaks_for_its_person_until_it_is_revoked(people):
    key = people.add_key("mila", ONE, by="root", now=NOON)
    people.add_key("mila", TWO, by="root", now=NOON)
    before = people.keys()
    people.revoke_key(key.key_id[:12], "lost", by="mila", now=NOON + timedelta(minutes=1))

    assert {one.person for one in before.values()} == {"mila"}
    assert set(before) == {key_id_of(ONE), key_id_of(TWO)}
    assert set(people.keys()) == {key_id_of(TWO)}


def test_the_keys_of_a_closed_account_speak_for_nobody(people):
    people.add_key("mila", ONE, by="root", now=NOON)
    people.revoke("mila", "left", by="root", now=NOON)

    assert people.keys() == {}


def test_a_key_is_registered_once_for_one_person_and_never_again(people):
    key = people.add_key("mila", ONE, by="root", now=NOON)
    with pytest.raises(PeopleError, match="registered before"):
        people.add_key("timo", ONE, by="root", now=NOON)
    people.revoke_key(key.key_id, "lost", by="root", now=NOON)

    with pytest.raises(PeopleError, match="registered before"):
        people.add_key("mila", ONE.upper(), by="root", now=NOON)


@pytest.mark.parametrize("use", ["record", "build"])
def test_a_key_of_the_daemon_never_speaks_for_a_person(people, tmp_path, use):
    own = own_key(tmp_path / "own.pem", use).public

    guarded = People(people._ledger, is_machine=lambda public: is_machine([own], public))
    with pytest.raises(PeopleError, match="daemon's own"):
        guarded.add_key("mila", own.public.upper(), by="root", now=NOON)
    assert guarded.add_key("mila", ONE, by="root", now=NOON).person == "mila"


def test_a_key_of_the_daemon_that_was_registered_before_speaks_for_nobody(people, tmp_path):
    (tmp_path / "retrigger.toml").write_text("")
    settings = config.load(tmp_path / "retrigger.toml")
    build = own_key(settings.record.build_key, "build").public.public
    with parts(settings) as ready:
        ready.people.add_person("mila", SECRET, ["ml_expert"], by="root", now=NOON)
        registered = People(ready.ledger).add_key("mila", build, by="root", now=NOON)

        assert set(People(ready.ledger).keys()) == {registered.key_id}
        assert ready.people.keys() == {}
        with pytest.raises(PeopleError, match="daemon's own"):
            ready.people.add_key("mila", build, by="root", now=NOON)
        settings.record.build_key.write_text("no key")
        with pytest.raises(RecordKeyError, match="daemon's own user"):
            ready.people.add_key("mila", ONE, by="root", now=NOON)


@pytest.mark.parametrize(("name", "public", "says"), [("mila", "11", "32 bytes"), ("nobody", ONE, "no open account")])
def test_a_key_that_cannot_be_is_refused(people, name, public, says):
    with pytest.raises(PeopleError, match=says):
        people.add_key(name, public, by="root", now=NOON)


@pytest.mark.parametrize(("key_id", "reason"), [("", "lost"), ("ff", "lost"), (key_id_of(ONE), " ")])
def test_a_key_is_revoked_by_its_own_id_and_with_a_reason(people, key_id, reason):
    people.add_key("mila", ONE, by="root", now=NOON)

    with pytest.raises(PeopleError):
        people.revoke_key(key_id, reason, by="root", now=NOON)
    assert len(people.keys()) == 1
