"""Since when files are there: kept over restarts, ended when a file is taken or goes away."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.first_seen import FORGOTTEN_AFTER, FirstSeen
from daemon.ledger import Ledger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened


def later(seconds):
    return NOON + timedelta(seconds=seconds)


def test_a_restart_goes_on_counting_from_the_first_sight(ledger):
    FirstSeen(ledger, "ZeroBias").note(["a.root"], NOON)
    after = FirstSeen(ledger, "ZeroBias")
    after.note([], later(600))  # the first look of a new process: the file is not yet known to be closed
    after.note(["a.root"], later(605))

    assert after.waited_s("a.root", later(700)) == 700
    assert FirstSeen(ledger, "Other").waited_s("a.root", later(700)) == 0


def test_a_file_that_was_taken_or_went_away_begins_anew(ledger):
    seen = FirstSeen(ledger, "ZeroBias")
    seen.note(["taken.root", "gone.root", "stays.root"], NOON)
    seen.forget("taken.root")
    seen.note(["stays.root"], later(10))
    again = FirstSeen(ledger, "ZeroBias")
    again.note(["taken.root", "gone.root", "stays.root"], later(20))

    assert [again.waited_s(f"{name}.root", later(20)) for name in ("taken", "gone", "stays")] == [0, 0, 20]


def test_a_clock_that_was_put_back_holds_no_file_longer(ledger):
    FirstSeen(ledger, "ZeroBias").note(["a.root"], later(86_400))
    after = FirstSeen(ledger, "ZeroBias")
    after.note(["a.root"], NOON)

    assert after.waited_s("a.root", later(30)) == 30


def test_a_name_that_went_away_unseen_is_forgotten_one_day(ledger):
    FirstSeen(ledger, "ZeroBias").note(["a.root"], NOON)
    FirstSeen(ledger, "ZeroBias").note([], NOON + FORGOTTEN_AFTER)

    assert ledger.status()["first_seen:ZeroBias"].body == {}
