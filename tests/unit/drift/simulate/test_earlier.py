"""A simulation never mixes with what is in its folder, and takes away only what an earlier one made."""

import pytest

from drift.errors import SimulationError
from drift.simulate import simulate

SMALL = {"lumisections_per_fill": 4, "events_per_lumisection": 5, "lumisections_per_file": 2}


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_with_run_files_is_refused_and_stays_as_it_was(tmp_path):
    simulate("none", 1, 5, tmp_path, **SMALL)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with pytest.raises(SimulationError, match=r"incoming holds 2 run files already, first run\d+_ls0001-0002\.root"):
        simulate("none", 1, 6, tmp_path, **SMALL)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_overwriting_takes_the_earlier_simulation_away_and_nothing_else(tmp_path):
    simulate("none", 2, 5, tmp_path / "week", **SMALL)
    for name in ("incoming/notes.txt", "incoming/other.root", "conditions/declared.json", "counters/mine.csv"):
        (tmp_path / "week" / name).write_text("mine")
    (tmp_path / "week" / "incoming" / ".run1_ls0001-0002.root.part").write_text("what a kill left")
    simulate("none", 1, 6, tmp_path / "week", **SMALL, overwrite=True)
    simulate("none", 1, 6, tmp_path / "fresh", **SMALL)
    mine = ["conditions/declared.json", "counters/mine.csv", "incoming/notes.txt", "incoming/other.root"]

    assert names(tmp_path / "week") == sorted([*names(tmp_path / "fresh"), *mine])


def test_run_files_of_no_simulation_are_never_taken_away(tmp_path):
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "run401234_ls0001-0010.root").write_bytes(b"measured")

    with pytest.raises(SimulationError, match="they are of no simulation, and stay"):
        simulate("none", 1, 5, tmp_path, **SMALL, overwrite=True)
    assert names(tmp_path) == ["incoming/run401234_ls0001-0010.root"]


def test_a_misspelt_scenario_takes_nothing_away(tmp_path):
    simulate("none", 1, 5, tmp_path, **SMALL)
    before = names(tmp_path)

    with pytest.raises(SimulationError, match="nonne"):
        simulate("nonne", 1, 5, tmp_path, **SMALL, overwrite=True)
    assert names(tmp_path) == before
