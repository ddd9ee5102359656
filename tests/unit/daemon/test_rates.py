"""The verb `rates`: counters of healthy fills, counters of today, and what a shifter and a script are told."""

import json
import subprocess
import sys

import numpy as np
import pytest

BUNCHES, LENGTH = 2340, 60
SEEDS = {"L1_SingleMu22": 0.07, "L1_AXO_Tight": 0.008}


def write_fills(folder, name, seed, first, n, *, lost="", prescale=1):
    """Counts and conditions of n fills; the counts are of the trigger behind dead time and prescale."""
    rng = np.random.default_rng(seed)
    rows = ["run,lumisection,seed,counts,prescale,dead_time"]
    oms, certified = [], {}
    for fill in range(first, first + n):
        run, off = 400_000 + fill, rng.normal(0, 0.003)
        certified[str(run)] = [[1, LENGTH]]
        oms.append({"type": "fills", "attributes": {"fill_number": fill, "bunches_colliding": BUNCHES}})
        for number in range(1, LENGTH + 1):
            pileup = 60 * np.exp(-0.6 * number / LENGTH)
            attributes = {
                "run_number": run, "fill_number": fill, "lumisection_number": number, "pileup": pileup,
                "beams_stable": True, "hf_ready": True,
            }  # fmt: skip
            oms.append({"type": "lumisections", "attributes": attributes})
            for one, slope in SEEDS.items():
                mean = slope * pileup * (1 + off) * BUNCHES * 23.3104 * 0.96 / prescale
                rows.append(f"{run},{number},{one},{rng.poisson(mean * (0.9 if one == lost else 1))},{prescale},0.04")
            rows.append(f"{run},{number},L1_Rare,{int(rng.random() < 0.1)},1,0.04")
    (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    conditions = folder / f"{name}-conditions"
    conditions.mkdir(exist_ok=True)
    (conditions / "oms_lumisections.json").write_text(json.dumps({"data": oms}))
    (conditions / "golden.json").write_text(json.dumps(certified))


def rates(folder, name, *more):
    words = [
        "rates", "--reference-counts", folder / "healthy.csv", "--reference-conditions", folder / "healthy-conditions",
        "--counts", folder / f"{name}.csv", "--conditions", folder / f"{name}-conditions", *more,
    ]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("rates")
    write_fills(home, "healthy", 1, 9001, 5)
    write_fills(home, "quiet", 2, 9101, 5, prescale=2)
    write_fills(home, "broken", 3, 9201, 2, lost="L1_AXO_Tight")
    return home


def lines_of(answer):
    lines = [json.loads(line, parse_constant=pytest.fail) for line in answer.stdout.splitlines()]
    return lines, {one["seed"]: one for one in lines if one["type"] == "seed"}


def test_a_healthy_week_has_no_alarm_and_says_how_long_the_model_lives(folder):
    answer = rates(folder, "quiet", "--json")
    lines, seeds = lines_of(answer)

    assert answer.returncode == 0, answer.stderr
    assert lines[-1]["type"] == "summary"
    assert lines[-1]["alarms"] == 0
    muon = seeds["L1_SingleMu22"]
    assert (muon["model"], muon["chosen_by"], muon["answer"]) == ("linear", "held-out fills", "estimate")
    assert muon["observed_hz"] == pytest.approx(muon["predicted_hz"], rel=0.02)
    assert abs(muon["deviation"]) < 0.01
    assert muon["lifetime"]["answer"] == "not_before"
    assert muon["lifetime"]["low"] > muon["lifetime"]["now"] > 0.05
    assert "fb^-1" in muon["lifetime"]["text"]


def test_a_seed_with_a_handful_of_counts_is_inconclusive_and_has_bounds(folder):
    _, seeds = lines_of(rates(folder, "quiet", "--json"))
    rare = seeds["L1_Rare"]

    assert (rare["answer"], rare["observed_hz"], rare["model"]) == ("inconclusive", None, None)
    assert 0 < rare["low_hz"] < rare["high_hz"] < 0.01
    assert "inconclusive" in rare["why"]


def test_a_seed_that_loses_a_tenth_of_its_rate_leaves_with_1_and_is_named(folder):
    answer = rates(folder, "broken", "--json")
    lines, seeds = lines_of(answer)

    assert answer.returncode == 1
    assert lines[0]["type"] == "alarm"
    assert lines[0]["contributors"][0]["seed"] == "L1_AXO_Tight"
    assert "below" in lines[0]["text"]
    assert seeds["L1_AXO_Tight"]["deviation"] == pytest.approx(-0.1, abs=0.02)
    assert seeds["L1_AXO_Tight"]["log_evidence"] > 11 > seeds["L1_SingleMu22"]["log_evidence"]


def test_people_get_a_line_a_seed_and_the_reason_of_what_is_missing(folder):
    answer = rates(folder, "broken")

    assert answer.returncode == 1
    assert "ALARM at run" in answer.stdout
    assert "L1_SingleMu22 (linear): " in answer.stdout
    assert "Hz predicted, -9.8%" in answer.stdout
    assert "L1_Rare: inconclusive: " in answer.stdout
    assert "120 lumisections" in answer.stdout


def test_a_missing_file_and_too_few_fills_are_one_readable_line(folder):
    short = rates(folder, "quiet", "--reference-counts", folder / "absent.csv")
    write_fills(folder, "two", 4, 9301, 2)
    words = ["rates", "--reference-counts", folder / "two.csv", "--counts", folder / "two.csv", "--conditions"]
    few = subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, [*words, folder / "two-conditions"])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (short.returncode, few.returncode) == (2, 2)
    assert "absent.csv cannot be read as seed counts: No such file" in short.stderr
    assert "found 2 fills and 120 lumisections" in few.stderr


def test_a_folder_without_conditions_is_called_so_and_faults_are_told_a_few_at_a_time(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    words = ["reference", "rates", "--counts", folder / "healthy.csv", "--output", tmp_path / "rates.json"]

    def fit(*more):
        return subprocess.run(
            [sys.executable, "-m", "daemon", *map(str, [*words, *more])], capture_output=True, text=True, check=False
        )

    (tmp_path / "bad.csv").write_text(
        "run,lumisection,seed,counts,prescale,dead_time\n1,1,A,2,1,0.04\n" + "1,1,A,2,x,0.04\n" * 20
    )
    none = fit("--conditions", tmp_path / "empty")
    some = fit("--counts", tmp_path / "bad.csv", "--conditions", folder / "healthy-conditions")

    assert none.returncode == 2
    assert f"{tmp_path}/empty holds no conditions: no luminosity CSV" in none.stderr
    assert some.returncode == 0, some.stderr
    assert some.stdout.count("note: ") == 6
    assert "note: counters: and 15 more" in some.stdout
