"""What a scan takes and prints: any detector by name, and on demand what the events themselves say of an alarm."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import get_args

import pytest

from daemon import config
from daemon.config import DriftSettings
from daemon.errors import SetupError
from daemon.rates import fit_rates
from daemon.rebaselining import rebaseline_reference
from daemon.scan import fit_reference, run_files, scan
from daemon.scan_tally import Tally
from drift.alarm import Decision
from drift.conditions import Conditions
from drift.listeners import NAMES
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.drift import conftest as toy
from tests.unit.drift import seed_counting


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a configuration and a reference of another detector than the one that is simulated."""
    folder = tmp_path_factory.mktemp("scan")
    (folder / "retrigger.toml").write_text("", encoding="utf-8")
    Reference.fit(toy.fills(11, 4, 30, 300), AXOL1TL_57).save(folder / "reference.npz")
    return folder


def lines(place, simulated, **asked):
    settings = config.load(place / "retrigger.toml")
    paths = [simulated.files[0].parent]
    return list(scan(paths, settings, place / "reference.npz", conditions=simulated.conditions, **asked))


def test_an_alarm_carries_the_second_opinion_only_when_asked(place, simulated_fills):
    plain = lines(place, simulated_fills)
    asked = lines(place, simulated_fills, second_opinion=True)

    assert [one["type"] for one in plain] == [one["type"] for one in asked]
    assert plain[0]["type"] == "alarm"
    assert "second_opinion" not in plain[0]
    assert asked[0]["second_opinion"].keys() & {"p_value", "reason"}
    assert {key: value for key, value in asked[0].items() if key != "second_opinion"} == plain[0]
    assert json.loads(json.dumps(asked)) == asked


def test_a_scan_writes_why_each_alarm_was_raised_when_asked(place, simulated_fills, tmp_path):
    *alarms, _ = lines(place, simulated_fills, explain=tmp_path / "why")
    plain = lines(place, simulated_fills)[0]

    assert alarms
    for one in alarms:
        told = json.loads(Path(one["explanation"]).read_bytes())
        assert Path(one["explanation"]).name == f"alarm-run{one['run']}-ls{one['lumisection']}.json"
        assert told["alarm"] == {key: value for key, value in one.items() if key != "explanation"}
    assert "explanation" not in plain


def test_files_come_in_the_order_of_the_data_and_not_of_their_letters(tmp_path):
    for name in ("run9_ls1-10", "run10_ls1-10", "run9_ls101-110", "run9_ls11-20", "other"):
        (tmp_path / f"{name}.root").touch()
    found = [path.stem for path in run_files([tmp_path])]

    assert found == ["other", "run9_ls1-10", "run9_ls11-20", "run9_ls101-110", "run10_ls1-10"]


def test_an_alarm_is_told_also_where_its_explanation_cannot_be_written(place, simulated_fills, tmp_path):
    plain = lines(place, simulated_fills)
    taken = tmp_path / f"alarm-run{plain[0]['run']}-ls{plain[0]['lumisection']}.json"
    (taken / "in the way").mkdir(parents=True)
    told = lines(place, simulated_fills, explain=tmp_path)

    assert told[0] | plain[0] == told[0]
    assert told[0]["explanation_missing"].startswith(f"its explanation could not be written: {taken}: Is a directory")
    assert len(told) == len(plain)
    assert not list(tmp_path.glob("*.part"))


def test_the_alarm_is_printed_before_a_page_that_cannot_be_written(place, simulated_fills, tmp_path):
    alarm = lines(place, simulated_fills)[0]
    (tmp_path / f"alarm-run{alarm['run']}-ls{alarm['lumisection']}.html" / "in the way").mkdir(parents=True)
    asked = (
        "scan",
        "--config",
        place / "retrigger.toml",
        "--reference",
        place / "reference.npz",
        "--explain",
        tmp_path,
    )
    asked = (*asked, "--conditions", simulated_fills.conditions, simulated_fills.files[0].parent)
    answers = [
        subprocess.run(
            [sys.executable, "-m", "daemon", *map(str, (*asked, *more))], capture_output=True, text=True, check=False
        )
        for more in ((), ("--json",))
    ]

    assert [one.returncode for one in answers] == [1, 1]
    assert answers[0].stdout.startswith("ALARM")
    assert "\n  the page of its explanation could not be written: " in answers[0].stdout
    printed = [json.loads(line)["type"] for line in answers[1].stdout.splitlines()]
    assert printed[:2] == ["alarm", "note"]
    assert printed[-1] == "summary"


def test_a_detector_that_gives_no_verdict_explains_nothing(place, simulated_fills, tmp_path):
    with pytest.raises(SetupError, match="adwin explains nothing"):
        lines(place, simulated_fills, detector="adwin", explain=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_another_detector_listens_to_the_same_lumisections(place, simulated_fills, name):
    *alarms, summary = lines(place, simulated_fills, detector=name)
    *_, ours = lines(place, simulated_fills)

    assert summary["detector"] == name
    assert "detector" not in ours
    assert summary["lumisections"] == ours["lumisections"] == 24
    assert summary["alarms"] == len(alarms)
    assert {one["verdict"] for one in alarms} <= {"undiagnosed"}


def test_the_configured_detector_is_taken_unless_one_is_named(place, simulated_fills):
    (place / "adwin.toml").write_text('[drift]\ndetector = "adwin"\n', encoding="utf-8")
    settings = config.load(place / "adwin.toml")
    paths = [simulated_fills.files[0].parent]
    configured = list(scan(paths, settings, place / "reference.npz", conditions=simulated_fills.conditions))
    named = list(
        scan(paths, settings, place / "reference.npz", conditions=simulated_fills.conditions, detector="page_hinkley")
    )

    assert configured[-1]["detector"] == "adwin"
    assert named[-1]["detector"] == "page_hinkley"


def test_a_scan_without_a_reference_says_how_to_make_one(place):
    settings = config.load(place / "retrigger.toml")

    with pytest.raises(SetupError, match="retrigger reference fit"):
        list(islice(scan([place], settings, place / "none.npz"), 1))


def test_the_configuration_knows_every_detector():
    assert get_args(DriftSettings.model_fields["detector"].annotation) == ("retrigger", *NAMES)


@pytest.mark.parametrize("verb", [("check-config",), ("run", "--once", "--no-page", "--config")])
def test_the_daemon_refuses_a_detector_that_gives_no_verdict(place, verb):
    path = place / "kswin.toml"
    path.write_text('[drift]\ndetector = "kswin"\n', encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", *verb, str(path)], capture_output=True, text=True, check=False
    )

    assert answer.returncode == (1 if verb[0] == "check-config" else 2)
    assert "only `retrigger scan` takes yet" in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (place / "ledger.db").exists()


def test_a_result_that_cannot_be_written_is_refused_before_any_file_is_looked_for(place):
    settings, nothing = config.load(place / "retrigger.toml"), [place / "nothing.root"]
    taken = place / "retrigger.toml" / "new.npz"

    with pytest.raises(SetupError, match="the reference cannot be written to"):
        fit_reference(nothing, settings, taken)
    with pytest.raises(SetupError, match="the reference cannot be written to"):
        rebaseline_reference(nothing, settings, place / "none.npz", taken, change="x")
    with pytest.raises(SetupError, match="the rate reference cannot be written to"):
        fit_rates(nothing, place, taken, least_counts=1)


def test_a_scan_that_watched_nothing_says_so_with_the_reason_and_leaves_with_1(place, simulated_fills, tmp_path):
    blind = tmp_path / "conditions"
    blind.mkdir()
    asked = ("scan", "--config", place / "retrigger.toml", "--reference", place / "reference.npz")
    asked = (*asked, "--conditions", blind, simulated_fills.files[0].parent)
    words, machine = (
        subprocess.run(
            [sys.executable, "-m", "daemon", *map(str, (*asked, *more))], capture_output=True, text=True, check=False
        )
        for more in ((), ("--json",))
    )
    (summary,) = (json.loads(line) for line in machine.stdout.splitlines())

    assert (words.returncode, machine.returncode) == (1, 1)
    assert words.stdout.startswith("nothing was watched; most often 24 excluded: beam mode is unknown (first ")
    assert summary["watched"] == 0
    assert summary["states"] == {"excluded": 24}
    assert [(one["state"], one["lumisections"]) for one in summary["not_watched"]] == [("excluded", 24)]


def test_what_was_not_watched_is_counted_by_state_and_reason(place, simulated_fills):
    *_, summary = lines(place, simulated_fills)
    missed = summary["not_watched"]

    assert summary["watched"] == summary["lumisections"] - sum(one["lumisections"] for one in missed)
    assert sum(summary["states"].values()) == summary["lumisections"]
    for state in ("excluded", "out_of_support", "data_gap"):
        assert summary[state] == sum(one["lumisections"] for one in missed if one["state"] == state)


def test_reasons_that_differ_in_the_number_of_one_lumisection_are_counted_together():
    tally = Tally(Reference.fit(toy.fills(11, 4, 30, 300), AXOL1TL_57))
    for number, (state, reason) in enumerate(
        [
            ("out_of_support", "pileup 71.3 is outside the reference's 20.0 to 60.0"),
            ("out_of_support", "pileup 12.0 is outside the reference's 20.0 to 60.0"),
            ("data_gap", "3 events, the reference has 300 a lumisection"),
            ("data_gap", "4 events, the reference has 300 a lumisection"),
            ("excluded", "dead time is 23%"),
            ("excluded", "dead time is 100%"),
            ("quiet", ""),
        ],
        start=1,
    ):
        tally.take(Decision(state, reason, 0.0), Conditions(1, number), 10, heard=False)
    told = tally.to_json()

    assert [(one["reason"], one["lumisections"]) for one in told["not_watched"]] == [
        ("pileup is outside the reference's 20.0 to 60.0", 2),
        ("too few events, the reference has 300 a lumisection", 2),
        ("dead time is too high", 2),
    ]
    assert told["not_watched"][1]["first"] == {"run": 1, "lumisection": 3}
    assert (told["watched"], told["lumisections"], told["events"]) == (1, 7, 70)


def test_declared_changes_that_silence_or_were_refused_are_told(place, simulated_fills, tmp_path):
    conditions = Path(shutil.copytree(simulated_fills.conditions, tmp_path / "conditions"))
    run = int(simulated_fills.files[0].name[3:9])
    good = {"id": "jec-12", "kind": "calibration", "first": {"run": run, "lumisection": 1}, "last": None}
    good |= {"objects": ["JET", "MET"], "words": "new table", "by": "calo"}
    wrong = [good | {"id": f"bad-{k}", "kind": "surprise"} for k in range(8)]
    (conditions / "declared.json").write_text(json.dumps([good, *wrong]), encoding="utf-8")
    settings = config.load(place / "retrigger.toml")
    *_, summary = scan([simulated_fills.files[0].parent], settings, place / "reference.npz", conditions=conditions)
    (silenced,) = summary["silenced"]

    assert silenced["change"] == "jec-12"
    assert silenced["lumisections"] == summary["watched"]
    assert silenced["text"].startswith(f"jec-12 silenced MET, JET in {summary['watched']} lumisections from {run}:")
    assert "retrigger reference rebaseline" in silenced["text"]
    assert len(summary["notes"]) == 6
    assert "declared.json: declared change 2: kind 'surprise' is not known" in summary["notes"][0]
    assert summary["notes"][-1] == "conditions: and 3 more"


def test_counters_are_counted_where_they_were_heard_and_what_is_wrong_with_them_is_told(
    place, simulated_fills, tmp_path
):
    seed_counting.rate_reference(toy.fills(11, 4, 30, 300)).save(tmp_path / "rates.json")
    first = simulated_fills.files[0].name
    run = int(first[3:9])
    rows = [f"{run},{k},L1_SingleMu22,31000,1,0.05" for k in (1, 2, 3)] + [
        f"{run},{k},L1_SingleMu22,many,1,0.05" for k in range(4, 13)
    ]
    (tmp_path / "seeds.csv").write_text(
        "".join(f"{row}\n" for row in ("run,lumisection,seed,counts,prescale,dead_time", *rows)), encoding="utf-8"
    )
    asked = {"counts": [tmp_path / "seeds.csv"], "rate_reference": tmp_path / "rates.json"}
    *_, summary = lines(place, simulated_fills, **asked)

    assert summary["counters"] == {"heard": 3, "lumisections": 24}
    assert len(summary["notes"]) == 6
    assert "line 5" in summary["notes"][0]
    assert summary["notes"][-1] == "counters: and 4 more"


def test_counters_that_say_nothing_and_a_rate_reference_without_counters_are_refused(place, simulated_fills, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SetupError, match=r"no seed count can be understood in .*empty \(there is no \.csv"):
        lines(place, simulated_fills, counts=[tmp_path / "empty"], rate_reference=tmp_path / "rates.json")
    (tmp_path / "empty" / "a.csv").write_text("nothing,here\n", encoding="utf-8")
    with pytest.raises(SetupError, match=r"no seed count can be understood in .*the header is 'nothing,here'"):
        lines(place, simulated_fills, counts=[tmp_path / "empty"], rate_reference=tmp_path / "rates.json")
    with pytest.raises(SetupError, match="name them with --counts"):
        lines(place, simulated_fills, rate_reference=tmp_path / "rates.json")
