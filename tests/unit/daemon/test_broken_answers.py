"""A word that was recorded and whose answer broke: it is told if it can be, and never said to be unsaid."""

import sqlite3
from contextlib import closing

import pytest

from tests.unit.daemon.page_world import PageWorld
from tests.unit.daemon.test_web_attacks import api
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


class Breaks:
    """The real eyes, to which something happens once a word of mila's is in the record."""

    def __init__(self, world, happens):
        self.world_of, self.happens = world, happens

    def __getattr__(self, name):
        return getattr(self.world_of.sight, name)

    def world(self, candidate, others, now):
        if candidate.approvals:
            self.happens()
        return self.world_of.sight.world(candidate, others, now)


def page(world, happens):
    return Browser(application(world, looks=Breaks(world, happens)), "mila")


def test_a_word_that_was_recorded_is_told_though_its_answer_cannot_be_kept(world):
    name = world.propose()

    def lose_the_table():
        with closing(sqlite3.connect(world.folder / "ledger.db")) as one:
            one.execute("ALTER TABLE answers RENAME TO gone")

    answer = api(page(world, lose_the_table), world, name, key="k-1")

    assert answer.status_code == 200, answer.text
    assert [one["person"] for one in answer.json()["approvals"]] == ["mila"]


def test_a_page_that_breaks_over_a_recorded_word_does_not_say_that_nothing_was(world):
    name = world.propose()

    def burst():
        raise RuntimeError("a mistake of ours")

    mila = page(world, burst)
    answer = api(mila, world, name, key="k-1")
    read = mila.get(f"/api/v1/candidates/{name}")

    assert [answer.status_code, read.status_code] == [500, 500]
    assert "It is not known whether this was recorded (look before you say it again)" in answer.json()["detail"]
    assert "Nothing was recorded" in read.json()["detail"]
    assert [one.person for one in world.candidate(name).approvals] == ["mila"]
