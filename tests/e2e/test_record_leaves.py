"""The daemon as a user runs it: the record leaves the host by itself, and verifies there with public keys alone."""

import shutil

import pytest

from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference, retrigger, run_once


@pytest.mark.timeout(900)
def test_the_record_of_a_run_reaches_a_folder_outside_and_verifies_without_the_daemon(tmp_path):
    simulate("none", 4, 7, tmp_path / "healthy", lumisections_per_fill=24, events_per_lumisection=100)
    live = simulate(
        "none", 1, 8, tmp_path / "live", lumisections_per_fill=8, events_per_lumisection=60, lumisections_per_file=4,
        first_fill=10_200,
    )  # fmt: skip
    away, elsewhere = tmp_path / "away", tmp_path / "elsewhere"
    away.mkdir()
    lost = tmp_path / "not mounted"
    named = {'# folders = ["/eos/somewhere/record"]': f'folders = ["{away}", "{lost}"]'}
    home, _ = home_with_reference(tmp_path, live.conditions, changed=named)
    config = home / "retrigger.toml"
    deliver(home, *live.files)
    run_once(home)
    (first,) = retrigger("status", "--config", config, status=None)
    lost.mkdir()
    retrigger("people", "add", "ada", "--role", "ml_expert", "--config", config, "--password-stdin", stdin="x" * 16)
    text = config.read_text().replace("every_facts = 100", "every_facts = 1")
    config.write_text(text)
    run_once(home)
    (second,) = retrigger("status", "--config", config, status=None)
    retrigger("audit", "keys", tmp_path / "keys.json", "--config", config)
    shutil.move(away, elsewhere)
    (told,) = retrigger("audit", "verify", elsewhere, "--keys", tmp_path / "keys.json")
    (person,) = retrigger("history", "--person", "ada", "--export", elsewhere, "--keys", tmp_path / "keys.json")

    assert first["record"][str(away)]["delivered"] > 0
    assert first["record"][str(lost)]["failures"] >= 1
    assert "mount the folder" in first["record"][str(lost)]["error"]
    assert second["record"][str(away)]["delivered"] > first["record"][str(away)]["delivered"]
    assert told["problems"] == []
    assert (person["kind"], person["words"]) == ("person_added", "ada; roles ml_expert")
    assert retrigger("audit", "verify", "--config", config)[0]["problems"] == []
