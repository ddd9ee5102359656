"""The rows behind the doors of the page, on SQLite and on a real PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.errors import LedgerError
from daemon.ledger import Account
from daemon.ledger.doors import ANSWERS_KEPT, UNDER_WAY, Kept, Passkey, Reading
from daemon.lifecycle import facts as f
from daemon.lifecycle.key_facts import IdentityLinked, SigningKeyAdded, SigningKeyRevoked
from tests.unit.daemon.lifecycle_examples import NOON, sha

KEY = Passkey(
    credential_id="AAEC",
    person="mila",
    key_id=sha("key"),
    public="{}",
    label="phone",
    sign_count=3,
    added_at=NOON,
)
ADDED = SigningKeyAdded(at=NOON, actor="mila", person="mila", key_id=KEY.key_id, public="{}", key_kind="webauthn")


@pytest.fixture
def doors(ledger):
    for name in ("mila", "timo"):
        fact = f.PersonAdded(at=NOON, actor="root", person=name, roles=("viewer",))
        ledger.put_account(Account(person=name, password_hash="x", roles=frozenset({"viewer"})), fact)
    return ledger.doors


def test_a_passkey_comes_back_counts_up_once_and_is_revoked_with_its_facts(ledger, doors):
    doors.add_passkey(KEY, ADDED)
    assert doors.passkeys() == doors.passkeys("mila") == [KEY]
    assert doors.passkeys("timo") == []

    assert doors.count_up("AAEC", 3, 9)
    assert not doors.count_up("AAEC", 3, 10)
    gone = SigningKeyRevoked(at=NOON, actor="mila", person="mila", key_id=KEY.key_id, reason="lost")
    doors.revoke_key(KEY.key_id, NOON, gone)

    assert doors.passkeys() == [replace(KEY, sign_count=9, revoked_at=NOON)]
    assert [one.fact for one in ledger.facts(subject="people")][-2:] == [ADDED, gone]
    assert ledger.verify() == []


def test_a_credential_is_registered_once_and_its_fact_with_it(ledger, doors):
    doors.add_passkey(KEY, ADDED)
    head = ledger.head()

    with pytest.raises(LedgerError, match="registered already"):
        doors.add_passkey(replace(KEY, person="timo", key_id=sha("other")), replace(ADDED, person="timo"))
    assert ledger.head() == head


def test_an_identity_opens_one_account_and_an_account_has_one_identity(ledger, doors):
    fact = IdentityLinked(at=NOON, actor="root", person="mila", issuer="https://i", identity="1")
    doors.link("https://i", "1", "mila", fact)
    head = ledger.head()

    assert doors.person_of("https://i", "1") == "mila"
    assert doors.person_of("https://other", "1") is None
    for subject, person in (("1", "timo"), ("2", "mila")):
        with pytest.raises(LedgerError):
            doors.link("https://i", subject, person, replace(fact, identity=subject, person=person))
    assert ledger.head() == head


def test_an_answer_is_kept_for_its_person_until_it_is_forgotten(doors):
    assert doors.keep("mila", "k", "asked", NOON) is None
    assert doors.keep("mila", "k", "other", NOON) == Kept("asked", None, "")
    doors.answered("mila", "k", 200, "done")

    assert doors.keep("mila", "k", "asked", NOON) == Kept("asked", 200, "done")
    assert doors.keep("timo", "k", "asked", NOON) is None
    doors.answered("timo", "k", None)
    assert doors.keep("timo", "k", "again", NOON) is None
    assert doors.keep("mila", "k", "asked", NOON + ANSWERS_KEPT + timedelta(seconds=1)) is None


def test_an_answer_that_was_begun_and_never_came_is_begun_anew(doors):
    doors.keep("mila", "k", "asked", NOON)
    late = NOON + UNDER_WAY + timedelta(seconds=1)

    assert doors.keep("mila", "k", "asked", NOON + UNDER_WAY) == Kept("asked", None, "")
    assert doors.keep("mila", "k", "asked", late) is None
    assert doors.keep("mila", "k", "asked", late + UNDER_WAY) == Kept("asked", None, "")


def test_readings_come_back_in_order(doors):
    doors.note_reading("mila", sha("r"), NOON)
    doors.note_reading("timo", sha("r"), NOON + timedelta(seconds=5))

    assert doors.readings() == [
        Reading("mila", sha("r"), NOON),
        Reading("timo", sha("r"), NOON + timedelta(seconds=5)),
    ]
