"""An alarm of the daemon can be explained afterwards, whatever happened while it was raised."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference, retrigger, run_once


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with configuration and reference, and beside it a fill whose hadron calorimeter lost two sectors."""
    base = tmp_path_factory.mktemp("explain")
    simulate("none", 4, 7, base / "healthy", lumisections_per_fill=24, events_per_lumisection=150)
    live = simulate(
        "hem1516", 1, 8, base / "live", lumisections_per_fill=30, events_per_lumisection=150, lumisections_per_file=5,
        first_fill=10_200,
    )  # fmt: skip
    home, _ = home_with_reference(base, live.conditions)
    deliver(home, *live.files)
    straight = Path(shutil.copytree(home, base / "straight"))
    run_once(straight)
    return home, straight


@pytest.fixture
def straight(prepared):
    return prepared[1]


@pytest.fixture
def home(prepared, tmp_path):
    return Path(shutil.copytree(prepared[0], tmp_path / "home"))


def the_alarm(home: Path) -> dict:
    (found,) = retrigger("alarms", "--config", home / "retrigger.toml")
    return found


def test_an_alarm_of_the_daemon_says_cause_step_and_which_failure_modes_it_is_like(straight):
    alarm = the_alarm(straight)["alarm"]

    assert (alarm["verdict"], alarm["cause"], alarm["rung"]) == ("broken_detector", "broken_detector", "mask_or_call")
    assert alarm["modes"][0]["mode"] == "dead_region"
    assert "the same place stands out in" in alarm["text"]
    assert alarm["against"] == "nothing measured"  # both objects of the calorimeter agree, and muons are not asked


def kept(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "state" / "explanations").iterdir()}


def test_the_daemon_explains_its_alarm_to_people_and_machines(straight, tmp_path):
    alarm, config = the_alarm(straight), straight / "retrigger.toml"
    (told,) = retrigger("explain", alarm["id"], "--config", config, "--output", tmp_path / "why.html")
    words = subprocess.run(
        [sys.executable, "-m", "daemon", "explain", alarm["id"], "--config", str(config)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert told["id"] == alarm["id"]
    assert told["alarm"] == {key: one for key, one in alarm["alarm"].items() if key != "explanation_sha256"}
    assert told["inside"]["box"] == alarm["alarm"]["box"]
    assert words.startswith("Broken detector: JET loss of ")
    assert "not a transient" in words
    assert (tmp_path / "why.html").read_text().count("<svg") >= 8
    assert retrigger("audit", "verify", "--config", config)[0]["problems"] == []


def test_a_kill_at_any_instant_leaves_the_same_explanation(home, straight):
    rng = random.Random(5)
    for _ in range(8):
        words = ["run", "--config", str(home / "retrigger.toml"), "--no-page", "--no-reports"]
        child = subprocess.Popen(
            [sys.executable, "-m", "daemon", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(1.2, 3.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
    run_once(home)

    assert the_alarm(home)["alarm"] == the_alarm(straight)["alarm"]
    assert {name: one for name, one in kept(home).items() if name.endswith(".json")} == kept(straight)


def test_an_explanation_written_before_a_kill_is_written_again_alike(home, straight):
    folder = home / "state" / "explanations"
    folder.mkdir(parents=True)
    (name,) = kept(straight)
    (folder / name).write_bytes(b"half a fi")
    run_once(home)

    assert kept(home) == kept(straight)
    assert the_alarm(home)["alarm"] == the_alarm(straight)["alarm"]


def test_an_altered_explanation_is_refused(home, straight):
    run_once(home)
    (path,) = (home / "state" / "explanations").iterdir()
    told = json.loads(path.read_bytes())
    told["alarm"]["verdict"] = "real_shift"
    path.write_text(json.dumps(told))
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", "explain", the_alarm(home)["id"], "--config", str(home / "retrigger.toml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert answer.returncode == 1
    assert "was altered" in answer.stderr
