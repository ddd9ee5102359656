"""Seed counters from simulated files to a verdict: by scan, and by a daemon, killed or waiting for late counters."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drift.reference import Reference
from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference, outcomes, retrigger, run_once, watch_state

SMALL = {"events_per_lumisection": 100, "lumisections_per_file": 6}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with both references, and beside it a live fill in which one seed counts 1.3 times too much."""
    base = tmp_path_factory.mktemp("counters")
    simulate("none", 4, 7, base / "healthy", lumisections_per_fill=24, **SMALL)
    live = simulate("seed_rate", 1, 8, base / "live", lumisections_per_fill=36, first_fill=10_200, **SMALL)
    changed = {'# rate_reference = "rates.json"': 'rate_reference = "rates.json"'}
    home, _ = home_with_reference(base, live.conditions, changed=changed)
    healthy = base / "healthy"
    counts = ("--counts", healthy / "counters" / "seeds.csv", "--conditions", healthy / "conditions")
    (report,) = retrigger("reference", "rates", *counts, "--output", home / "rates.json")
    assert len(report["seeds"]) == 8
    return home, live


@pytest.fixture
def home(prepared, tmp_path):
    return Path(shutil.copytree(prepared[0], tmp_path / "home"))


@pytest.fixture
def live(prepared):
    return prepared[1]


def counters_of(live):
    return live.conditions.parent / "counters"


def bring_counters(home, live):
    shutil.copytree(counters_of(live), home / "counters", dirs_exist_ok=True)


def alarms(home):
    return [one["alarm"] for one in retrigger("alarms", "--config", home / "retrigger.toml")]


def test_a_scan_with_counters_names_the_seed_and_one_without_is_silent(home, live):
    asked = ("scan", "--config", home / "retrigger.toml", "--reference", home / "reference.npz", live.files[0].parent)
    quiet = retrigger(*asked)
    told, summary = retrigger(*asked, "--counts", counters_of(live), status=1)

    assert [one["type"] for one in quiet] == ["summary"]
    assert (told["verdict"], summary["alarms"]) == ("broken_detector", 1)
    assert "the rate of L1_AXO_Nominal is 1.3" in told["text"]
    assert told["action"].endswith("do not retrain")
    assert told["contributors"][0]["object"] == "L1_AXO_Nominal"


def test_counters_without_a_rate_reference_or_for_river_are_refused_in_one_line(home, live):
    config = home / "retrigger.toml"
    asked = ["scan", "--config", config, "--reference", home / "reference.npz", live.files[0].parent]

    def refused(*words):
        answer = subprocess.run(
            [sys.executable, "-m", "daemon", *map(str, [*asked, *words])], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 2
        return answer.stderr

    assert "adwin takes no seed counters" in refused("--counts", counters_of(live), "--detector", "adwin")
    assert "absent cannot be read as seed counts" in refused("--counts", home / "absent")
    config.write_text(config.read_text().replace('rate_reference = "rates.json"', ""))
    assert "retrigger reference rates" in refused("--counts", counters_of(live))


def test_the_daemon_tells_of_the_seed_once_and_opens_a_fault(home, live):
    bring_counters(home, live)
    deliver(home, *live.files)
    run_once(home)

    (told,) = alarms(home)
    assert "the rate of L1_AXO_Nominal is 1.3" in told["text"]
    assert len(retrigger("faults", "--config", home / "retrigger.toml", status=None)) == 1


def test_the_report_of_that_fill_shows_each_seed_beside_its_prediction(home, live, tmp_path):
    bring_counters(home, live)
    deliver(home, *live.files)
    run_once(home, reports=True)
    (listed,) = retrigger("report", "--config", home / "retrigger.toml")
    retrigger("report", 10_200, "--config", home / "retrigger.toml", "--output", tmp_path / "report.html")

    assert (listed["fill"], listed["failures"]) == (10_200, 0)
    assert "<h2>Seed rates</h2><img" in (tmp_path / "report.html").read_text()


def test_the_doctor_says_what_references_and_counters_hold(home, live):
    bring_counters(home, live)
    found = retrigger("doctor", "--config", home / "retrigger.toml", status=1)[0]["findings"]
    told = {one["what"]: (one["good"], one["detail"]) for one in found}
    digest = Reference.load(home / "reference.npz").digest

    assert told["reference"][0]
    assert f"digest {digest[:12]}, 4 fills, pileup " in told["reference"][1]
    assert told["rate reference"][0]
    assert "4 fills, 8 seeds, pileup " in told["rate reference"][1]
    assert told["counters"] == (True, f"{home}/counters, 2 file(s) of seed counters")


def test_data_wait_for_their_counters_and_then_go_the_same_way(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    bring_counters(straight, live)
    deliver(straight, *live.files)
    run_once(straight)
    deliver(home, *live.files)
    run_once(home, status=1)
    before = outcomes(home)
    waits = retrigger("status", "--config", home / "retrigger.toml", status=None)[0]["doing"]
    bring_counters(home, live)
    run_once(home)

    assert before == []
    assert "no seed counters yet for" in waits
    assert outcomes(home) == outcomes(straight)
    assert watch_state(home) == watch_state(straight)


def test_a_bad_counter_file_is_named_where_data_wait_for_their_counters(home, live):
    (home / "counters").mkdir(exist_ok=True)
    (home / "counters" / "seeds.csv").write_text("no,counters\n1,2\n")
    deliver(home, live.files[0])
    run_once(home, status=1)
    told = retrigger("status", "--config", home / "retrigger.toml", status=None)[0]

    assert "no seed counters yet for" in told["doing"]
    assert f"of the counter files, 1 fault, the newest: {home}/counters/seeds.csv" in told["doing"]
    assert told["input_faults"]["counters"][0] == 1


def test_counters_that_never_come_hold_nothing_beyond_the_grace_of_conditions(home, live):
    config = home / "retrigger.toml"
    config.write_text(config.read_text().replace("grace_s = 900.0 ", "grace_s = 0.0 "))
    deliver(home, *live.files)
    run_once(home)

    assert len(outcomes(home)) == 36
    assert alarms(home) == []


def test_kill_9_while_counters_are_heard_changes_not_a_bit(home, live, tmp_path):
    straight = Path(shutil.copytree(home, tmp_path / "straight"))
    for one in (straight, home):
        bring_counters(one, live)
        deliver(one, *live.files)
    run_once(straight)
    rng = random.Random(6)
    command = [
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--config",
        str(home / "retrigger.toml"),
        "--no-page",
        "--no-reports",
    ]
    for _ in range(4):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1.5 + 2.0 * rng.random())
        child.send_signal(signal.SIGKILL)
        child.wait()
    run_once(home)

    assert outcomes(home) == outcomes(straight)
    assert watch_state(home) == watch_state(straight)
    assert alarms(home) == alarms(straight)
