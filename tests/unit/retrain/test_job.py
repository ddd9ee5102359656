"""The job protocol, as far as it goes without training anything."""

import fcntl
import json

import pytest

from retrain.errors import JobBusyError
from retrain.job import BUSY, WRONG, held, main, run
from retrain.progress import read_whole


@pytest.fixture
def folder(tmp_path, make_job):
    make_job(tmp_path / "job", events=20)
    return tmp_path / "job"


def change(folder, **values):
    job = json.loads((folder / "job.json").read_bytes())
    job.update(values)
    (folder / "job.json").write_text(json.dumps(job))


def test_two_never_work_on_one_job(folder):
    with (folder / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(JobBusyError, match="another process"):
            run(folder)
    assert not (folder / "result.json").exists()


def test_the_lock_is_free_again_afterwards(folder):
    with held(folder):
        pass
    with held(folder):
        pass


def test_altered_data_refuse_the_candidate_and_say_which(folder):
    path = folder / "data" / "3.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    result = run(folder)

    assert result["verdict"] == "refused"
    assert "382913:4" in result["reason"]
    assert result["bundle"] is None
    assert json.loads((folder / "result.json").read_bytes()) == result


def test_a_verdict_once_given_is_given_again(folder):
    (folder / "data" / "0.npy").unlink()
    first = run(folder)
    (folder / "job.json").unlink()

    assert run(folder) == first


def test_a_missing_description_is_wrong_use(tmp_path):
    result = run(tmp_path)

    assert result["verdict"] == "refused"
    assert "job.json" in result["reason"]


def test_a_champion_without_its_digest_in_the_recipe_is_refused(folder):
    change(folder, champion="/somewhere")

    assert "champion" in run(folder)["reason"]


def test_a_contract_that_is_not_the_recipes_is_refused(folder, contract):
    job = json.loads((folder / "job.json").read_bytes())
    change(folder, recipe={**job["recipe"], "contract": "f" * 64}, contract=contract.to_json())

    result = run(folder)

    assert result["verdict"] == "refused"
    assert "frozen" in result["reason"]


@pytest.mark.parametrize("unknown", ["mdoel", "learning"])
def test_an_unknown_recipe_field_is_wrong_use(folder, unknown):
    job = json.loads((folder / "job.json").read_bytes())
    change(folder, recipe={**job["recipe"], unknown: 1})

    assert unknown in run(folder)["reason"]


def test_a_contract_that_does_not_fit_the_data_ends_the_job_before_it_trains(folder, contract):
    from dataclasses import replace

    inputs = tuple(
        replace(port, offset=port.offset * 2, shift=port.shift + 1) if port.quantity == "pt" else port
        for port in contract.inputs
    )
    wrong = replace(contract, inputs=inputs)
    job = json.loads((folder / "job.json").read_bytes())
    change(folder, recipe={**job["recipe"], "contract": wrong.digest}, contract=wrong.to_json())

    result = run(folder)

    assert result["verdict"] == "refused"
    assert [gate["name"] for gate in result["gates"]] == ["contract"]
    assert "pt unit" in result["reason"]
    assert read_whole(folder / "progress.json")["stage"] == "done"


def test_a_description_changed_after_the_job_began_is_refused(folder, contract):
    (folder / "stages").mkdir()
    (folder / "stages" / "job.json").write_text('{"digest": "of another description"}')

    assert "changed after the job began" in run(folder)["reason"]


def test_wrong_use_has_its_own_exit_code(capsys):
    assert main([]) == WRONG
    assert "usage" in capsys.readouterr().err
    assert BUSY == 4
