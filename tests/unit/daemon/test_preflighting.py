"""`retrigger preflight` holds scales and bundles against run files, and says what is wrong field by field."""

import json
import os
import subprocess
import sys
from importlib import resources

import pytest

from daemon import config
from daemon.errors import SetupError
from daemon.preflight import judge, recent, subject_of
from drift.simulate import simulate
from retrain import bundle as bundles
from tests.unit.retrain.conftest import stage_bundle
from tests.unit.retrain.released_scales import NAMES, RELEASED, arrays_of, contract_of


def retrigger(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "240"},
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A configuration, a simulated file and the released scales."""
    folder = tmp_path_factory.mktemp("preflight")
    (folder / "retrigger.toml").write_bytes(resources.files("daemon").joinpath("template.toml").read_bytes())
    simulate(
        "none", 1, 3, folder / "fills", lumisections_per_fill=8, events_per_lumisection=800, lumisections_per_file=8
    )
    versions = {
        version: {"ad_offsets": offsets, "ad_shift": shifts, "shift_type": "ap_fixed<5,5>"}
        for version in (*RELEASED, "v6.0.1")
        for offsets, shifts in [arrays_of(version)]
    }
    versions["v3"]["padding"] = "included"
    (folder / "scales.json").write_text(json.dumps({"inputs": NAMES, "versions": versions}))
    return folder


@pytest.fixture(scope="module")
def events(home):
    """What the simulated file holds, read once."""
    return recent([home / "fills" / "incoming"], config.load(home / "retrigger.toml"))


@pytest.fixture
def told(events):
    """What preflight says of a subject on these events."""

    def of(path, version=None, padding=None):
        return judge(subject_of(path, version=version, padding=padding), *events)

    return of


def fields(report):
    return [one["field"] for one in report["findings"]]


def preflight(home, subject, *words):
    return retrigger("preflight", subject, home / "fills" / "incoming", "--config", home / "retrigger.toml", *words)


@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
def test_released_scales_that_ran_pass(home, told, version):
    report = told(home / "scales.json", version)

    assert (report["verdict"], report["findings"], report["lumisections"]) == ("pass", [], 8)
    assert report["events"] == 6400


def test_version_six_is_refused_with_each_field_and_reason(home):
    answer = preflight(home, home / "scales.json", "--version", "v6.0.0", "--json")
    report = json.loads(answer.stdout)

    assert answer.returncode == 1
    assert {"offset and shift", "scale form", "pt unit", "Jet1_pt.shift"} <= set(fields(report))
    assert all(set(one) == {"field", "found", "expected", "evidence"} for one in report["findings"])


def test_people_see_one_row_a_reason(home):
    answer = preflight(home, home / "scales.json", "--version", "v6.0.0")

    assert answer.returncode == 1
    assert "refused, 33 findings" in answer.stdout
    assert "and 26 more" in answer.stdout


def test_what_is_odd_without_being_wrong_is_a_note(home):
    answer = preflight(home, home / "scales.json", "--version", "v3")

    assert answer.returncode == 0
    assert "note: Jet2_pt, Jet3_pt: ap_fixed<10,10> truncates the offset" in answer.stdout


def test_the_padding_may_be_said_by_the_person(home, told):
    assert fields(told(home / "scales.json", "v4", "included")) == ["padding"]


def test_a_contract_file_is_held_against_the_files(home, told):
    (home / "contract.json").write_text(json.dumps(contract_of("v5").to_json()))

    assert told(home / "contract.json")["verdict"] == "pass"


def test_a_scale_that_is_no_power_of_two_is_one_finding(home, told):
    offsets, shifts = arrays_of("v5")
    tree = {"versions": {"mine": {"ad_offsets": offsets, "ad_shift": [3.4, *shifts[1:]]}}}
    (home / "odd.json").write_text(json.dumps(tree))

    report = told(home / "odd.json")

    assert [(one["field"], one["found"]) for one in report["findings"]] == [("MET_pt.shift", "3.4")]


def test_a_bundle_is_refused_for_sources_that_are_not_its_weights(told, tmp_path):
    identity = stage_bundle(tmp_path / "staging")  # its C++ is text that no compiler would take
    sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)

    assert {"hls/firmware", "model.qonnx"} <= set(fields(told(sealed.path)))


def test_a_bundle_that_was_altered_is_refused_and_still_looked_at(told, tmp_path):
    identity = stage_bundle(tmp_path / "staging")
    sealed = bundles.seal(tmp_path / "staging", tmp_path / "bundles", identity)
    (sealed.path / "threshold.json").write_text("{}")

    found = {one["field"]: one["found"] for one in told(sealed.path)["findings"]}

    assert "the threshold changed" in found["bundle"]
    assert "model.qonnx" in found


def test_a_folder_that_is_no_bundle_is_refused_without_reading_data(tmp_path):
    report = judge(subject_of(tmp_path, version=None, padding=None), None, 0)

    assert report["verdict"] == "fail"
    assert fields(report) == ["bundle", "bundle"]


@pytest.mark.parametrize(
    ("subject", "version", "said"),
    [
        ("nothing.json", None, "does not exist"),
        ("scales.json", None, "name one of them with --version"),
        ("scales.json", "v9", "found v9"),
        ("retrigger.toml", None, "is not JSON"),
    ],
)
def test_what_cannot_be_checked_is_named(home, subject, version, said):
    with pytest.raises(SetupError, match=said):
        subject_of(home / subject, version=version, padding=None)


def test_scales_of_other_inputs_are_wrong_use(home):
    tree = {"inputs": list(NAMES[::-1]), "versions": {"v": {"ad_offsets": [], "ad_shift": []}}}
    (home / "other.json").write_text(json.dumps(tree))

    answer = preflight(home, home / "other.json")

    assert answer.returncode == 2
    assert "another order" in answer.stderr
