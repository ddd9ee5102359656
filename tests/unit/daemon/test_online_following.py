"""What the online learner beside the loop is fed, when it begins anew, and how it is asked for."""

import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from daemon.deploy import InMemoryTarget
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.lifecycle import fold
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight, TableCertifier
from daemon.triggers import Triggers, job_of
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from retrain.dataset import ListedLumisection, load
from retrain.progress import read_whole, write_whole
from retrain.recipe import Recipe, ranges
from tests.unit.daemon.test_triggers import NOON, NOWHERE, SLOT, STREAM, Settings, asked, closed, fault, fill
from tests.unit.retrain.conftest import axol1tl_contract, derive, stage_bundle, zero_bias

# brevitas and torch warn about each other's deprecations at import and first use
pytestmark = pytest.mark.filterwarnings("ignore")
TAUGHT = {"epochs": 1, "batch_events": 50, "held_out_fraction": 0.3}


@pytest.fixture(scope="module")
def weights():
    """A checkpoint and a memory, as a job would leave them."""
    from retrain.memory import Memory
    from retrain.train import fit, state_arrays

    events = zero_bias(2000)
    contract = derive(axol1tl_contract(SLOT), zero_bias(6000))
    recipe = Recipe(SLOT, ranges((382913, number) for number in range(1, 13)), epochs=1, batch_size=200)
    model = fit(recipe, contract, contract.network_inputs(events)).model
    return state_arrays(model), Memory.of_lumisection(events, 382913, 1, fill=9877, pileup=50.0).arrays()


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture
def champion(ledger, tmp_path, weights):
    identity = stage_bundle(tmp_path / "staging")
    for name, arrays in zip((bundles.CHECKPOINT, bundles.MEMORY), weights, strict=True):
        bundles.write_tensors(tmp_path / "staging" / name, arrays)
    learned = {"training": {"ranges": ["382913:1-12"], "events": 1}, "learned": ["382913:1-12"]}
    bundles.write_json(tmp_path / "staging" / "evidence" / "dataset.json", learned)
    sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)
    fact = f.ChampionImported(at=NOON, actor="import", slot=SLOT, digest=sealed.digest, bundle_path=str(sealed.path))
    ledger.append(SLOT, (fact,))
    return sealed


@pytest.fixture
def daemon_of(ledger, champion, tmp_path):
    """Triggers of a daemon with an online learner; `again` is another start of the same daemon."""
    made = []

    def again(every: int = 5, **retrain) -> Triggers:
        target = InMemoryTarget("board")
        target.deploy(champion.digest, champion.path, token=1)
        beam = BeamModeFeed(NOWHERE / "beam_mode.jsonl", 900.0)
        seen = Sight(ledger, People(ledger), target, TableCertifier(NOWHERE), beam, STREAM)
        settings = Settings(state=tmp_path / "state")
        changed = settings.retrain.model_copy(update={"online_every": every, "faults": (), **TAUGHT, **retrain})
        one = Triggers(
            settings.model_copy(update={"retrain": changed}),
            ledger,
            seen,
            replace(load_policy(), attempts=2),
            owner="t",
        )
        made.append(one)
        return one

    yield again
    for one in made:
        one.following.stop()


def until_idle(watch: Triggers, at=NOON) -> None:
    """Let the daemon turn until its child has ended and nothing new is there."""
    deadline = time.monotonic() + 120
    watch.step(at)
    while time.monotonic() < deadline and watch.following.busy:
        time.sleep(0.05)
    watch.step(at)


def learned(tmp_path) -> list[str]:
    return sorted(path.parent.name for path in (tmp_path / "state" / "online").glob("*/learned.json"))


def test_each_certified_lumisection_is_learned_and_a_snapshot_asked_for_as_any_candidate(
    ledger, champion, daemon_of, tmp_path
):
    from retrain.online_store import adopt

    fill(ledger, 24, events=tmp_path / "events")
    watch = daemon_of()
    until_idle(watch)
    until_idle(daemon_of(), NOON + timedelta(minutes=1))

    facts = asked(ledger)
    recipe = Recipe.from_json(facts[0].recipe)
    candidate = fold(one.fact for one in ledger.facts(subject=facts[0].candidate))
    job = job_of(candidate, watch._settings, ledger, champion.path, tmp_path / "job")
    listed = [ListedLumisection.from_json(one) for one in job["lumisections"]]
    data = load(listed, recipe, len(champion.contract.inputs))
    taught = adopt(recipe, champion.contract, data, champion, tmp_path / "state/online/snapshots" / recipe.snapshot)
    assert [(fact.trigger, fact.initiator) for fact in facts] == [("online", "daemon")]
    assert (recipe.policy.name, recipe.champion, recipe.needs_gain) == ("online", champion.digest, True)
    assert job["snapshot"].endswith(recipe.snapshot)
    assert taught.evidence["first_epoch"] == taught.evidence["first_epoch_again"]
    assert taught.evidence["online"]["number"] % 5 == 0


def test_what_certification_has_not_spoken_of_is_not_learned(ledger, daemon_of, tmp_path):
    fill(ledger, 12, certified=None, events=tmp_path / "events")
    until_idle(daemon_of())

    assert learned(tmp_path) == []
    assert asked(ledger) == []


def test_a_lesson_that_turns_out_bad_has_the_learner_begin_anew_from_the_champion(ledger, daemon_of, tmp_path):
    fill(ledger, 12, events=tmp_path / "events")
    watch = daemon_of(every=1000)
    until_idle(watch)
    before = watch.following.learner_of(watch._parent(watch._champion(), "to learn online from")).taken
    ledger.certify([(before[0].run, before[0].first, False)], NOON + timedelta(hours=1))
    until_idle(watch, NOON + timedelta(hours=1))
    until_idle(watch, NOON + timedelta(hours=2))

    learner = watch.following.learner_of(watch._parent(watch._champion(), "to learn online from"))
    assert len(learned(tmp_path)) == 2
    assert f"{before[0].run}:{before[0].first}" in learner.left[0]
    assert not any(span.first <= before[0].first <= span.last for span in learner.taken)


@pytest.mark.parametrize("how", ["certified bad", "a fault that was opened and closed"])
def test_a_snapshot_of_a_killed_child_that_learned_what_is_bad_by_now_is_left_and_not_asked_for(
    ledger, daemon_of, champion, tmp_path, how
):
    from retrain.follow import run

    fill(ledger, 12, events=tmp_path / "events")
    watch = daemon_of()
    learner = watch.following.learner_of(champion)
    learner.feed(watch.lessons.every(), 5, watch._settings.retrain)
    run(learner.folder)
    (learner.folder / "learned.json").unlink()  # as a kill inside the portion, after its snapshot, leaves it
    bad = learner.snapshot.taken[0]
    if how == "certified bad":
        ledger.certify([(bad.run, bad.first, False)], NOON)
    else:
        opened, shut = (
            replace(fault(), onset_run=bad.run, onset_lumisection=bad.first),
            closed(bad.run, bad.first),
        )
        ledger.append(STREAM, (opened, shut))
    watch.step(NOON)

    assert asked(ledger) == []
    assert len(learner.left) == 1
    assert "may not be learned from any more" in learner.left[0]


def test_a_learner_that_fails_is_tried_again_later_and_then_left(ledger, daemon_of, tmp_path):
    fill(ledger, 6, events=tmp_path / "events")
    for path in (tmp_path / "events").iterdir():
        np.save(path, np.zeros((57, 3), np.int16))
    watch = daemon_of()
    seen = []
    for hour in range(2):
        until_idle(watch, NOON + timedelta(hours=hour))
        seen.append(watch.following.trouble)

    watch.step(NOON + timedelta(hours=3))
    learner = watch.following.learner_of(watch._parent(watch._champion(), "to learn online from"))
    assert "failed 1 times" in seen[0]
    assert "the file was altered" in seen[0]
    assert "failed 2 times" in learner.left[0]
    assert asked(ledger) == []


def test_another_champion_has_another_learner_and_another_target_the_same(daemon_of, champion):
    first = daemon_of().following.learner_of(champion)
    other_target = daemon_of(target_rate_hz=5e3, margin=0.2).following.learner_of(champion)
    other_terms = daemon_of(distillation=2.0).following.learner_of(champion)

    forgets = daemon_of().following.learner_of(champion, ranges([(10, 3)]))

    assert first.key != forgets.key
    assert first.key == other_target.key
    assert first.key != other_terms.key
    assert other_terms.recipe.policy.distillation == 2.0


def test_snapshots_are_left_after_each_so_many_and_a_kill_before_one_costs_none(ledger, daemon_of, champion, tmp_path):
    from retrain.follow import run

    fill(ledger, 12, events=tmp_path / "events")
    watch = daemon_of()
    learner = watch.following.learner_of(champion)
    learner.feed(watch.lessons.every(), 2, watch._settings.retrain)
    end = run(learner.folder)
    number = end["number"] - end["number"] % 2
    first = learner.snapshot
    told = read_whole(learner.folder / "follow.json")
    write_whole(learner.folder / "follow.json", {**told, "snapshot_every": end["number"], "lumisections": []})
    run(learner.folder)

    assert first.number == number
    assert sum(span.last - span.first + 1 for span in first.taken) == number
    assert len({*(tmp_path / "state/online/snapshots").iterdir()}) == len({*range(2, number + 1, 2), end["number"]})
    assert learner.snapshot.digest == end["digest"]
