"""What a crowd or a stranger sends to the page, on SQLite and on a real PostgreSQL: none of it is a fault of ours."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from daemon.errors import LoginRefusedError, PeopleError
from daemon.ledger.doors import UNDER_WAY, Kept
from daemon.people import People
from tests.unit.daemon.page_world import NOON, QUICK


def test_of_many_requests_under_one_key_at_once_one_is_worked_out(ledger):
    with ThreadPoolExecutor(8) as crowd:
        for number in range(5):
            sent = [crowd.submit(ledger.doors.keep, "mila", f"k-{number}", "asked", NOON) for _ in range(8)]
            found = [one.result() for one in sent]

            assert found.count(None) == 1
            assert {one.status for one in found if one is not None} == {None}


def test_who_was_cut_off_is_begun_anew_once_however_many_ask_and_forgets_nobodys_answer(ledger):
    later = NOON + UNDER_WAY + timedelta(seconds=1)
    ledger.doors.keep("mila", "k-1", "asked", NOON)
    with ThreadPoolExecutor(8) as crowd:
        sent = [crowd.submit(ledger.doors.keep, "mila", "k-1", "asked", later) for _ in range(8)]
        found = [one.result() for one in sent]
    ledger.doors.answered("mila", "k-1", 200, "said")
    ledger.doors.answered("mila", "k-1", None)  # the first one wakes up, and was refused

    assert found.count(None) == 1
    assert ledger.doors.keep("mila", "k-1", "asked", later) == Kept("asked", 200, "said")


@pytest.mark.parametrize("name", ["mila\x00", "\x00", "Mila", "m" * 100])
def test_a_name_that_no_account_can_have_is_nobodys(ledger, name):
    people = People(ledger, QUICK)

    assert people.find(name) is None
    with pytest.raises(LoginRefusedError, match="name or password is wrong"):
        people.check_password(name, "whatever it may be", NOON)
    with pytest.raises(PeopleError, match="has no open account"):
        people.revoke(name, "it is nobody", by="root", now=NOON)
