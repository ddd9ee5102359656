"""What a champion's weights know does not measure a candidate that starts from them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from retrain import bundle, inheriting
from retrain.bundle import Bundle
from retrain.dataset import Dataset, ListedLumisection
from retrain.errors import DatasetError
from retrain.policy import Policy
from retrain.stages import Job, dataset
from retrain.work import Work
from tests.unit.retrain.conftest import stage_bundle, write_job

RUN = 382913


def champion_of(folder, learned, training):
    """Seal a bundle whose weights learned these lumisections."""
    identity = stage_bundle(folder / "staging")
    bundle.write_json(folder / "staging/evidence/dataset.json", {"training": {"ranges": learned, "events": 1}})
    bundle.write_json(folder / "staging/evidence/training.json", training)
    return bundle.seal(folder / "staging", folder / "champions", identity)


def told(folder, champion: Bundle, policy: Policy):
    """Run the first stage of a job over twelve lumisections, and return its evidence and the events it leaves."""
    value = write_job(folder / "job", champion=champion.digest, policy=policy, contract=champion.contract.digest)
    work = Work(
        Job.from_json({**value, "champion": str(champion.path)}), {"dataset": folder / "job" / "stages" / "1-dataset"}
    )
    work.folders["dataset"].mkdir(parents=True)
    dataset(work, work.folders["dataset"], lambda _part, _text: None)
    return json.loads((work.folders["dataset"] / "dataset.json").read_bytes()), work.dataset


def numbers(data, *, held_out):
    return {one.lumisection for one, out in zip(data.lumisections, data.held_out, strict=True) if out == held_out}


def test_held_out_lumisections_that_the_champion_learned_neither_teach_nor_measure(tmp_path):
    champion = champion_of(tmp_path, [f"{RUN}:1-6"], {})

    _, plain = told(tmp_path / "full", champion, Policy())
    said, left = told(tmp_path / "naive", champion, Policy("naive"))

    known = numbers(plain, held_out=True) & set(range(1, 7))
    assert known
    assert numbers(left, held_out=True) == numbers(plain, held_out=True) - known
    assert numbers(left, held_out=False) == numbers(plain, held_out=False)
    assert left.features.shape[1] == sum(left.counts) == 400 * (12 - len(known))
    assert (said["set_aside"]["lumisections"], said["set_aside"]["events"]) == (len(known), 400 * len(known))
    assert said["held_out"]["events"] == 400 * len(numbers(left, held_out=True))


def test_a_candidate_that_starts_afresh_is_measured_on_all_that_is_held_out(tmp_path):
    said, left = told(tmp_path, champion_of(tmp_path, [f"{RUN}:1-12"], {}), Policy())

    assert "set_aside" not in said
    assert len(left.lumisections) == 12


def test_nothing_left_to_measure_on_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(
        DatasetError, match=r"all 5 lumisections kept for measuring .* list lumisections that it has not"
    ):
        told(tmp_path, champion_of(tmp_path, [f"{RUN}:1-12"], {}), Policy("naive"))


def test_what_an_online_learner_took_was_learned_though_its_job_listed_but_some(tmp_path):
    taken = {"online": {"number": 4, "steps": 9, "taken": [f"{RUN}:1-2", f"{RUN}:7-8"]}}

    champion = champion_of(tmp_path, [f"{RUN}:8-8"], taken)

    assert [str(span) for span in inheriting.learned_by(champion)] == [f"{RUN}:1-2", f"{RUN}:7-8"]


def test_events_and_their_pure_weights_stay_together():
    rows = tuple(ListedLumisection(RUN, number, None, "") for number in (1, 2, 3))
    data = Dataset(np.arange(6, dtype=np.int16)[None], rows, (1, 2, 3), (True, False, True), np.arange(6) / 10)

    left = data.without({(RUN, 2)})

    assert left.features.tolist() == [[0, 3, 4, 5]]
    assert left.pure.tolist() == [0.0, 0.3, 0.4, 0.5]
    assert (left.counts, left.held_out) == ((1, 3), (True, True))
    assert replace(left, pure=None).without({(RUN, 1)}).features.shape == (1, 3)
