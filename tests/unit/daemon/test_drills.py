"""A drill looks like any candidate, is caught or missed by a person, and goes nowhere."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.decisions import code_of
from daemon.deploy import is_drill
from daemon.drills import KINDS, _as_if, given_answers, propose, seeders, source_of
from daemon.errors import DeployError, RefusedError
from daemon.fatigue import Answer, due, figures
from daemon.ledger import Ledger
from daemon.lifecycle import Phase, request_candidate
from daemon.lifecycle import facts as f
from daemon.people_figures import people_figures
from daemon.targets.filesystem import FilesystemTarget
from tests.unit.daemon.lifecycle_examples import Course
from tests.unit.daemon.page_world import NOON, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("NO BEAM")
    made.take_data()
    yield made
    made.ledger.close()


@pytest.fixture
def source(world):
    """A whole bundle that passed its gates, of a candidate that was rejected yesterday."""
    name = world.propose()
    Browser(application(world), "carla").send(name, "reject", klass="other", reason="not needed")
    return source_of(world.sight.candidates(), None)


def seed(world, source, kind="hot-slice"):
    name = propose(
        world.ledger, world.sight, world.policy, source, kind, by="carla", out=world.folder / "bundles", now=world.now
    )
    world.step(name)
    return name


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_drill_is_a_whole_bundle_that_asks_people_and_says_nowhere_that_it_is_one(world, source, kind):
    name = seed(world, source, kind)
    mila = Browser(application(world), "mila")
    text = mila.get(f"/candidates/{name}").text

    assert world.candidate(name).phase is Phase.PENDING_APPROVAL
    assert "drill" not in text.replace("retrigger drill rollback", "").replace("<option>drill</option>", "")
    assert KINDS[kind].seen not in text
    assert "carla" not in text
    assert mila.get(f"/api/v1/candidates/{name}").json()["drill"] is False
    assert json.loads((source.path.parent / world.candidate(name).bundle_digest / "manifest.json").read_text())["drill"]
    assert world.ledger.verify() == []


def test_no_target_and_no_import_takes_the_bundle_of_a_drill(world, source, tmp_path):
    digest = world.candidate(seed(world, source)).bundle_digest
    folder = source.path.parent / digest

    with pytest.raises(DeployError, match="is a drill"):
        FilesystemTarget(tmp_path / "board").deploy(digest, folder, token=1)
    assert is_drill(folder)
    assert not is_drill(source.path)


def test_a_drill_that_is_rejected_was_caught_and_everybody_may_know(world, source):
    name = seed(world, source)
    app = application(world)
    world.now += timedelta(minutes=4)
    timo = Browser(app, "timo")
    timo.get(f"/candidates/{name}")
    world.now += timedelta(seconds=90)
    timo.send(name, "reject", klass="rate", reason="forty times too high at pileup 50")
    text = timo.get(f"/candidates/{name}").text
    own = figures("timo", given_answers(world.ledger))

    assert "This was a drill" in text
    assert f"It was caught: {KINDS['hot-slice'].seen}" in text
    assert timo.get(f"/api/v1/candidates/{name}").json()["drill"] is True
    assert (own.caught, own.missed, own.answers) == (1, 0, 0)
    assert own.read_s == 90
    assert own.decide_s == 330


def test_a_drill_that_both_approve_was_missed_and_never_reaches_the_board(world, source):
    name, app = seed(world, source), application(world)
    before = world.sight.running()
    code = code_of(world.candidate(name))
    mila = Browser(app, "mila")
    mila.send(name, "approve", code=code)
    assert "You approved it" in mila.get(f"/candidates/{name}").text
    assert "drill" not in Browser(app, "timo").get(f"/candidates/{name}").text.replace("drill rollback", "").replace(
        "<option>drill", ""
    )
    Browser(app, "timo").send(name, "approve", code=code)
    for _ in range(4):
        world.step(name)

    assert world.candidate(name).phase is Phase.EXPIRED
    assert world.sight.running() == before
    assert figures("mila", given_answers(world.ledger)).missed == 1


def test_metrics_count_a_drill_when_it_is_over_and_not_while_somebody_may_still_be_asked(world, source):
    name, app = seed(world, source), application(world)
    answered = people_now(world)
    Browser(app, "mila").send(name, "approve", code=code_of(world.candidate(name)))
    during = people_now(world)
    Browser(app, "timo").send(name, "reject", klass="rate", reason="forty times too high at pileup 50")
    after = people_now(world)

    assert (answered.caught, answered.missed) == (during.caught, during.missed) == (0, 0)
    assert (after.caught, after.missed) == (1, 1)
    assert after.yes_ratio == during.yes_ratio == 0.0


def people_now(world):
    subjects = world.ledger.subjects("candidate_requested")
    return people_figures(world.ledger, [[one.fact for one in world.ledger.facts(subject=name)] for name in subjects])


def test_programs_and_the_history_do_not_give_a_drill_away_before_it_is_answered(world, source):
    name, app = seed(world, source), application(world)
    mila, carla = Browser(app, "mila"), Browser(app, "carla")
    told = mila.get(f"/api/v1/candidates/{name}").json()
    by_digest = mila.get(f"/api/v1/history?digest={told['bundle_digest']}")
    by_seeder = [one.get("/api/v1/history?person=carla").json() for one in (mila, carla)]

    assert "drill" not in str(told["story"])
    assert by_digest.json() != []
    assert "drill" not in by_digest.text
    assert [[one["kind"] for one in rows if one["subject"] == "drills"] for rows in by_seeder] == [[], ["drill_seeded"]]


def test_who_seeded_a_drill_catches_nothing_by_it(world, source):
    name = seed(world, source)
    Browser(application(world), "carla").send(name, "reject", klass="drill", reason="I made it")

    assert seeders(world.ledger) == {name: "carla"}
    assert [one for one in given_answers(world.ledger) if one.drill] == []


def test_a_drill_waits_until_nobody_is_asked_anything(world, source):
    world.propose(7)

    with pytest.raises(RefusedError, match="c-0007 waits for an answer"):
        seed(world, source)


def test_a_drill_keeps_no_real_candidate_back(world, source):
    real = world.sight.candidates()[0]
    name = seed(world, source)
    later = real.requested_at + timedelta(hours=world.policy.cooldown_hours, seconds=1)
    world.now = max(later, world.now)
    asked = request_candidate(
        world.sight.candidates(), world.policy, slot=real.slot, trigger="drift", initiator="daemon",
        recipe_digest="another", recipe={}, reason="a-2: new", number=9, open_faults=(), paused="", now=world.now,
    )  # fmt: skip

    assert world.candidate(name).recipe_digest == real.recipe_digest
    assert asked.number == 9


def test_a_drill_took_as_long_to_make_as_its_like(world, source):
    real, name = world.sight.candidates()[0], seed(world, source)
    drill = world.candidate(name)

    assert drill.gates.at - drill.build.at == real.gates.at - real.build.at
    assert drill.build.at - drill.requested_at == real.build.at - real.requested_at


def test_an_unknown_kind_is_refused_by_name(world, source):
    with pytest.raises(RefusedError, match="choose one of hot-slice"):
        seed(world, source, "nonsense")


def answer(number=0, *, person="mila", approved=True, drill=False, read_s=60.0):
    return Answer(
        person=person,
        candidate=f"c-{number:04d}",
        approved=approved,
        drill=drill,
        at=NOON + timedelta(hours=number),
        waited_s=600.0,
        read_s=read_s,
    )


def test_twenty_times_yes_is_an_alarm_and_a_caught_drill_does_not_hide_it():
    nineteen = [answer(number) for number in range(19)]
    drill = answer(30, approved=False, drill=True)

    assert figures("mila", [*nineteen, drill]).alarms == ()
    assert "each of the last 20 answers was yes" in figures("mila", [*nineteen, answer(19), drill]).alarms
    assert figures("mila", [*nineteen, answer(19, approved=False)]).alarms == ()
    assert figures("mila", [answer(0, approved=False), *nineteen, answer(20)]).alarms != ()


def test_less_than_thirty_seconds_on_the_page_is_an_alarm():
    assert figures("mila", [answer(read_s=29.0)]).alarms == ("half of the answers came within 29 s; the limit is 30 s",)
    assert figures("mila", [answer(read_s=30.0)]).alarms == ()
    assert figures("mila", [answer(read_s=None)]).read_s is None


def test_a_missed_drill_is_an_alarm_until_enough_are_caught():
    caught = [answer(number, approved=False, drill=True) for number in range(19)]
    missed = answer(40, drill=True)

    assert figures("mila", [*caught[:18], missed]).alarms
    assert figures("mila", [*caught, missed]).alarms == ()


def test_a_drill_is_due_to_whom_answered_none_in_this_quarter():
    given = [answer(drill=True), answer(person="timo")]

    assert due({"mila", "timo", "carla"}, given, NOON) == ("carla", "timo")
    assert due({"mila"}, given, NOON + timedelta(days=93)) == ("mila",)


def test_the_coordinator_sees_how_people_answer_and_others_do_not(world, source):
    seed(world, source)
    app = application(world)
    told = Browser(app, "carla").get("/api/v1/fatigue").json()
    page = Browser(app, "carla").get("/fatigue").text

    assert told["drill_due"] == ["mila", "timo"]
    assert told["limits"]["catch_target"] == 0.95
    assert "mila and timo: no drill answered in this quarter" in page
    assert Browser(app, "mila").get("/fatigue").status_code == 403


def test_the_record_marks_a_drill_from_its_first_fact(world, source):
    stored = world.ledger.facts(subject=seed(world, source))[0].fact

    assert isinstance(stored, f.CandidateRequested)
    assert stored.drill


@pytest.mark.parametrize("trigger", ["drift", "cron", "fill", "online"])
def test_a_drill_is_asked_for_by_what_asked_for_the_last_real_one(tmp_path, trigger):
    real = replace(Course().candidate, trigger=trigger)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        told = _as_if(ledger, [real])

    assert told == (trigger, real.reason)
