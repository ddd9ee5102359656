"""Which recipes a sweep has, when each of them has ended, and what is kept of it."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon import sweep as sweeping
from daemon.errors import SetupError
from daemon.sweep_plan import read_plan
from daemon.training import JobState
from retrain.recipe import LumisectionRange, Recipe

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
BASE = Recipe("L1_AXO", (LumisectionRange(10, 1, 4),))
JOB = {"recipe": BASE.to_json(), "lumisections": [], "champion": None, "out": "/elsewhere", "signals": []}


class ScriptedRunner:
    """The port in memory: each job ends as its script says, one word a start; what is over says `candidate`."""

    def __init__(self, scripts: dict[str, list[str]] | None = None) -> None:
        self.scripts = scripts or {}
        self.starts: Counter[str] = Counter()
        self.stopped = False
        self.most = 0
        self._now: dict[Path, str] = {}

    def start(self, folder: Path) -> None:
        self.starts[folder.name] += 1
        script = self.scripts.get(folder.name, [])
        self._now[folder] = script.pop(0) if script else "candidate"
        self.most = max(self.most, len(self._now))

    def look(self, folder: Path, now: datetime) -> JobState:
        word = self._now.pop(folder, "")
        if word == "":
            return JobState("absent")
        if word == "stop":
            raise KeyboardInterrupt
        if word == "dead":
            return JobState("dead", text="out of memory")
        if word == "lost":
            return JobState("dead", text="workers were lost", losses=3)
        result = {
            "verdict": word,
            "reason": f"it is {word}",
            "digest": "d" * 64,
            "seconds": {"train": 1.5},
            "gates": [],
        }
        (folder / "result.json").write_text(json.dumps(result))
        return JobState("finished", result=result)

    def stop(self) -> None:
        self.stopped = True

    @property
    def busy(self) -> bool:
        return bool(self._now)


def plan(tmp_path, text: str) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return path


def swept(tmp_path, seeds: int = 4, failures: int = 3) -> sweeping.Sweep:
    entries = read_plan(plan(tmp_path, f"grid.seed = {list(range(1, seeds + 1))}"), BASE)
    return sweeping.Sweep(entries, JOB, tmp_path / "out", failures)


def run(sweep: sweeping.Sweep, runner: ScriptedRunner, width: int = 2) -> list[sweeping.Row]:
    return sweeping.run(sweep, runner, width=width, clock=lambda: NOON, say=lambda row: None)


def test_a_grid_is_every_combination_and_each_recipe_of_the_list_one_more(tmp_path):
    text = (
        "[base]\nepochs = 3\n[grid]\nweight_bits = [4, 6]\nhidden = [[32, 16], [16, 8]]\n[[recipes]]\nsparsity = 0.5\n"
    )

    found = read_plan(plan(tmp_path, text), BASE)

    assert [(one.recipe.weight_bits, one.recipe.hidden, one.recipe.sparsity) for one in found] == [
        (4, (32, 16), 0.0),
        (4, (16, 8), 0.0),
        (6, (32, 16), 0.0),
        (6, (16, 8), 0.0),
        (6, (32, 16), 0.5),
    ]
    assert {one.recipe.epochs for one in found} == {3}
    assert found[4].changes == {"sparsity": 0.5}


def test_a_plan_may_be_json_and_one_recipe_told_twice_is_one(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"grid": {"seed": [1, 2, 2]}, "recipes": [{"seed": 1}]}))

    assert [one.recipe.seed for one in read_plan(path, BASE)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid.sede = [1]", "recipe 1: recipe has unknown fields"),
        ("grid.weight_bits = [6, 99]", "recipe 2: recipe field weight_bits is 99"),
        ("grid.seed = 3", "expected a list"),
        ("grids.seed = [3]", "grids; expected the tables"),
        ("base.champion = 'a'\ngrid.seed = [1]", "champion follows from the data"),
        ("", "no recipe"),
        ("grid.seed = [", "cannot be read"),
        (f"grid.seed = {list(range(101))}\ngrid.epochs = {list(range(1, 101))}", "more than 10000 recipes"),
        ("grid.policy = ['replay']", "starts from a champion"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(SetupError, match=said):
        read_plan(plan(tmp_path, text), BASE)


def test_every_recipe_ends_in_one_row_in_the_order_of_the_plan(tmp_path):
    sweep, runner = swept(tmp_path), ScriptedRunner()
    rows = run(sweep, runner)

    assert [row["changes"]["seed"] for row in rows] == [1, 2, 3, 4]
    assert rows == sweeping.rows_of(tmp_path / "out")
    assert {row["verdict"] for row in rows} == {"candidate"}
    assert runner.most == 2
    assert json.loads((Path(rows[0]["path"]) / "job.json").read_text())["recipe"]["seed"] == 1


def test_a_machinery_that_failed_is_tried_again_and_a_poison_recipe_is_given_up(tmp_path):
    sweep = swept(tmp_path)
    names = [sweep.folder(entry).name for entry in sweep.entries]
    runner = ScriptedRunner({names[0]: ["dead", "failed"], names[1]: ["dead", "failed", "dead"], names[2]: ["refused"]})
    rows = run(sweep, runner)

    assert [row["verdict"] for row in rows] == ["candidate", "given_up", "refused", "candidate"]
    assert [row["failures"] for row in rows] == [2, 3, 0, 0]
    assert "out of memory" in rows[1]["reason"]
    assert [runner.starts[name] for name in names] == [3, 3, 1, 1]
    assert (sweep.folder(sweep.entries[0]) / "result.failed-2.json").exists()


def test_workers_that_a_job_takes_with_it_count_each(tmp_path):
    sweep = swept(tmp_path, seeds=1)
    rows = run(sweep, ScriptedRunner({sweep.folder(sweep.entries[0]).name: ["lost"]}))

    assert (rows[0]["verdict"], rows[0]["failures"]) == ("given_up", 3)


def test_a_sweep_that_was_stopped_goes_on_where_it_was_and_remembers_failures(tmp_path):
    sweep = swept(tmp_path)
    names = [sweep.folder(entry).name for entry in sweep.entries]
    first = ScriptedRunner({names[1]: ["dead", "dead", "stop"]})
    with pytest.raises(KeyboardInterrupt):
        run(sweep, first, width=1)
    second = ScriptedRunner({names[1]: ["dead"]})
    rows = run(sweep, second, width=1)

    assert second.starts[names[0]] == 0
    assert [row["verdict"] for row in rows] == ["candidate", "given_up", "candidate", "candidate"]


def test_what_was_given_up_is_tried_again_only_when_somebody_says_so(tmp_path):
    sweep = swept(tmp_path)
    name = sweep.folder(sweep.entries[1]).name
    run(sweep, ScriptedRunner({name: ["dead"] * 3}))
    still = run(sweep, ScriptedRunner())
    forgiven = sweeping.forgive(tmp_path / "out")
    after = run(sweep, ScriptedRunner())

    assert [row["verdict"] for row in still].count("given_up") == 1
    assert forgiven == 1
    assert [row["verdict"] for row in after] == ["candidate"] * 4


def test_rows_of_recipes_that_a_changed_plan_no_longer_names_are_kept(tmp_path):
    run(swept(tmp_path, seeds=3), ScriptedRunner())
    changed = sweeping.Sweep(read_plan(plan(tmp_path, "grid.seed = [4, 2]"), BASE), JOB, tmp_path / "out", 3)
    rows = run(changed, runner := ScriptedRunner())

    assert [row["changes"]["seed"] for row in rows] == [4, 2]
    assert [row["changes"]["seed"] for row in sweeping.rows_of(tmp_path / "out")] == [4, 2, 1, 3]
    assert sum(runner.starts.values()) == 1


def test_two_never_sweep_in_one_folder(tmp_path):
    with sweeping.alone(tmp_path), pytest.raises(SetupError, match="another process"), sweeping.alone(tmp_path):
        pass


def test_a_job_gets_the_signals_and_faults_of_its_own_recipe_only(tmp_path):
    job = {**JOB, "signals": [{"name": "A"}, {"name": "B"}], "faults": [{"name": "healthy"}, {"name": "gain=0.1"}]}
    entries = read_plan(plan(tmp_path, "recipes = [{signals = ['B']}, {faults = ['gain=0.1']}]"), BASE)
    sweep = sweeping.Sweep(entries, job, tmp_path, 3)

    described = [sweep.description(entry) for entry in entries]
    assert [[one["name"] for one in own["signals"]] for own in described] == [["B"], []]
    assert [[one["name"] for one in own["faults"]] for own in described] == [[], ["healthy", "gain=0.1"]]


def test_only_a_job_that_trains_can_be_swept(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**JOB, "recipe": {**JOB["recipe"], "action": "threshold", "champion": "a" * 64}}))

    with pytest.raises(SetupError, match="threshold alone"):
        sweeping.base_job(path)
    with pytest.raises(SetupError, match="no job description"):
        sweeping.base_job(tmp_path / "nothing.json")
