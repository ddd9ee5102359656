"""Every figure has one name, one unit and one line in docs/metrics.md, and a scrape is of one instant."""

import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.full_snapshot import full_glance, full_snapshot
from daemon.errors import ConfigurationError
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.observed import Comparison
from daemon.metrics import DECLARED, PREFIX, collector_registry, serve_metrics
from daemon.snapshot import LoopView, last_loop_view, snapshot_of
from tests.unit.daemon.page_world import NOON, SLOT, STREAM, PageWorld

KNOWN_LABELS = {
    *("stream", "slot", "outcome", "verdict", "phase", "result", "kind", "channel", "folder", "input", "reason"),
    *("feature", "part", "object", "eta", "phi", "share", "threshold", "seed", "model", "decision", "signal", "own"),
    *("place", "mode"),
}
COMPARED = Comparison(
    lumisections=9, events=2700, mismatches=2, mismatch_rate_low=1e-5, mismatch_rate_high=0.004, unreadable=3
)
DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def scrape(world: PageWorld) -> dict[str, dict[tuple, float]]:
    text = generate_latest(collector_registry(lambda: snapshot_of(world.ledger, world.now))).decode()
    return {
        sample.name: {tuple(sorted(one.labels.items())): one.value for one in family.samples if one.name == sample.name}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(scraped, name, **labels):
    return scraped[PREFIX + name][tuple(sorted(labels.items()))]


def test_every_declared_metric_is_exposed_and_no_other(world):
    world.propose()
    text = generate_latest(collector_registry(lambda: snapshot_of(world.ledger, world.now))).decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    ours = {name for name in names if not name.startswith(f"{PREFIX}process_")}

    assert ours == {PREFIX + one.name for one in DECLARED}


def test_every_metric_is_documented_with_its_type_and_labels():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", DOCS.read_text(), re.MULTILINE)

    assert [(name, kind, labels.strip(), text.strip()) for name, kind, labels, text in rows] == [
        (PREFIX + one.name, one.type, ", ".join(one.labels), one.help) for one in DECLARED
    ]


def test_a_run_a_lumisection_or_a_digest_is_never_a_label():
    labels = {label for one in DECLARED if not one.name.endswith("_info") for label in one.labels}

    assert labels & {"run", "lumisection", "ls", "event", "digest", "candidate", "fill"} == set()
    assert labels <= KNOWN_LABELS


def test_the_figures_are_those_of_the_record(world):
    world.propose()
    scraped = scrape(world)

    assert value(scraped, "lumisections_total", stream=STREAM, outcome="watched") == 314
    assert value(scraped, "lumisections_total", stream=STREAM, outcome="excluded") == 4
    assert value(scraped, "lumisections_delivered_total", stream=STREAM) == 320
    assert value(scraped, "lumisections_watched_total", stream=STREAM) == 314
    assert value(scraped, "files_total", stream=STREAM, outcome="quarantined") == 1
    assert value(scraped, "alarms_total", stream=STREAM, verdict="broken_detector") == 1
    assert value(scraped, "drift_log_evidence", stream=STREAM) == 2.4
    assert value(scraped, "lag_seconds", stream=STREAM) == 95
    assert value(scraped, "vectors_compared", slot=SLOT) == 120_000
    assert value(scraped, "vectors_mismatching", slot=SLOT) == 0
    assert value(scraped, "approvals_pending", slot=SLOT) == 1
    assert value(scraped, "approval_signatures_missing", slot=SLOT) == 2
    assert value(scraped, "approval_age_seconds", slot=SLOT) == 43 * 60
    assert value(scraped, "candidate_phase", slot=SLOT, phase="pending_approval") == 1
    assert value(scraped, "deployed_info", slot=SLOT, digest=world.champion.digest) == 1
    assert value(scraped, "board_agrees", slot=SLOT) == 1
    assert value(scraped, "audit_head_sequence") == world.ledger.head().sequence
    assert value(scraped, "retrain_duration_seconds_count", slot=SLOT, result="built") == 1


@pytest.mark.parametrize(("silent", "shown"), [({}, None), ({STREAM: ""}, 1), ({STREAM: "the board runs no model"}, 0)])
def test_scores_are_shown_as_watched_as_silent_or_not_at_all(world, silent, shown):
    world.ledger.put_status("loop", LoopView(started=NOON, silent_scores=silent).to_json(), NOON)
    figures = scrape(world).get(f"{PREFIX}drift_scores_watched", {})

    assert figures.get((("stream", STREAM),)) == shown


def test_a_verdict_that_never_came_stands_at_zero_so_that_its_first_increase_is_seen(world):
    assert value(scrape(world), "alarms_total", stream=STREAM, verdict="transient") == 0


def test_seed_rates_are_shown_by_three_figures_however_many_seeds_there_are_and_absent_without_them(world):
    world.turn_loop(rates={STREAM: (-0.5, 0.2, -3.5)})
    shown = scrape(world)
    world.turn_loop()

    assert value(shown, "rates_log_evidence", stream=STREAM) == -0.5
    assert value(shown, "rates_deviation_median_sigma", stream=STREAM) == 0.2
    assert value(shown, "rates_deviation_farthest_sigma", stream=STREAM) == -3.5
    assert not any(name.startswith(f"{PREFIX}rates") for name in scrape(world))


def test_a_request_that_is_not_open_has_no_age(world):
    scraped = scrape(world)

    assert value(scraped, "approvals_pending", slot=SLOT) == 0
    assert PREFIX + "approval_age_seconds" not in scraped


def test_a_board_that_runs_something_else_is_seen(world):
    world.turn_loop(running={SLOT: "0" * 64})

    assert value(scrape(world), "board_agrees", slot=SLOT) == 0


def test_an_open_fault_a_pause_and_a_freeze_are_seen(world):
    world.open_fault()
    world.ledger.append("daemon", [f.Paused(at=NOON, actor="carla", reason="van der Meer scan")])
    world.ledger.append("daemon", [f.FreezeStarted(at=NOON, actor="carla", reason="van der Meer scan")])
    scraped = scrape(world)

    assert value(scraped, "fault_open", stream=STREAM) == 1
    assert value(scraped, "paused") == value(scraped, "frozen") == 1


def test_an_unknown_beam_mode_is_absent_and_not_zero(world):
    world.turn_loop(stable_beams=None, fill=None)
    scraped = scrape(world)

    assert PREFIX + "stable_beams" not in scraped
    assert PREFIX + "fill_number" not in scraped


def test_a_loop_that_says_nothing_keeps_its_old_heartbeat(world):
    beat = value(scrape(world), "loop_heartbeat_timestamp_seconds")
    world.now += timedelta(hours=1)

    assert value(scrape(world), "loop_heartbeat_timestamp_seconds") == beat
    assert world.now.timestamp() - beat > 3600


def test_an_empty_ledger_can_be_scraped(tmp_path):
    from daemon.ledger import Ledger

    with Ledger.open(f"sqlite:///{tmp_path / 'new.db'}") as ledger:
        text = generate_latest(collector_registry(lambda: snapshot_of(ledger, NOON))).decode()

    assert f"{PREFIX}audit_head_sequence 0.0" in text


def test_what_the_loop_says_of_itself_comes_back_whole(world):
    view = LoopView(
        started=NOON,
        evidence={STREAM: (1.5, 11.0)},
        rates={STREAM: (-0.5, 0.2, -3.5)},
        newest={STREAM: NOON},
        running={SLOT: "ab"},
        glances={STREAM: full_glance(SLOT)},
        disk={"state": (5, 9)},
        board={SLOT: COMPARED},
        places={"folder:/mnt/record": 7},
    )
    world.ledger.put_status("loop", view.to_json(), NOON)
    other = replace(view, last_turn=NOON)

    assert last_loop_view(world.ledger) == view
    assert LoopView.from_json(other.to_json()) == other


def test_three_models_of_57_features_are_fewer_than_two_thousand_series():
    text = generate_latest(collector_registry(full_snapshot)).decode()
    series = [line for line in text.splitlines() if not line.startswith("#")]
    empty = {f"retrigger_{one.name}" for one in DECLARED} - {re.split(r"[{ ]", line)[0] for line in series}

    assert 1_200 < len(series) <= 2_000
    assert all(
        word.endswith(("_duration_seconds", "_timestamp_seconds", "_expires_seconds"))
        or "age" in word
        or "running" in word
        for word in empty
    )  # what a healthy experiment does not have


def test_whoever_asks_for_openmetrics_is_told_run_and_lumisection_as_exemplars(world):
    world.turn_loop(glances={STREAM: full_glance(SLOT)})
    text = openmetrics.generate_latest(collector_registry(lambda: snapshot_of(world.ledger, world.now))).decode()
    lines = [line for line in text.splitlines() if " # {" in line]
    found = {line.split("{")[0]: line for line in lines}

    assert found.keys() == {PREFIX + "lumisections_watched_total", PREFIX + "alarms_total"}
    assert '# {lumisection="118",run="401234"} 1.0' in found[PREFIX + "lumisections_watched_total"]
    assert 'lumisection="118"' in next(line for line in lines if "broken_detector" in line)
    assert len(list(openmetrics_parser(text))) > 60


def test_the_endpoint_speaks_openmetrics_to_those_who_ask(world):
    server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(world.ledger, world.now))
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.server_port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        kind, text = answer.headers["Content-Type"], answer.read().decode()
    server.shutdown()
    server.server_close()

    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_one_scrape_takes_one_snapshot(world):
    taken = []

    def source():
        taken.append(snapshot_of(world.ledger, world.now))
        return taken[-1]

    registry = collector_registry(source)
    generate_latest(registry)

    assert len(taken) == 1


def test_a_scrape_is_quick_and_has_few_series(world):
    world.propose()
    registry = collector_registry(lambda: snapshot_of(world.ledger, world.now))
    generate_latest(registry)
    begun = time.perf_counter()
    text = generate_latest(registry).decode()
    took = time.perf_counter() - begun

    assert sum(not line.startswith("#") for line in text.splitlines()) < 400
    assert took < 1.0  # 20 to 30 ms on an idle machine


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say(world):
    world.propose()
    text = generate_latest(collector_registry(lambda: snapshot_of(world.ledger, world.now)))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_endpoint_answers_and_ends(world):
    server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(world.ledger, world.now))
    address = f"http://127.0.0.1:{server.server_port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"retrigger_build_info" in answer.read()
    server.shutdown()
    server.server_close()

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)


def test_a_port_that_is_taken_is_named_with_what_to_do(world):
    server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(world.ledger, world.now))
    try:
        with pytest.raises(ConfigurationError, match=r"metrics\.listen: cannot listen on .* free the port"):
            serve_metrics(f"127.0.0.1:{server.server_port}", lambda: snapshot_of(world.ledger, world.now))
    finally:
        server.shutdown()
        server.server_close()


def test_the_record_that_left_the_host_is_counted_by_the_place_that_is_farthest_behind(world):
    assert f"{PREFIX}record_exported_sequence" not in scrape(world)
    world.turn_loop(exported=7, export_failures=3)

    scraped = scrape(world)
    assert value(scraped, "record_exported_sequence") == 7
    assert value(scraped, "record_export_failures_total") == 3
    assert last_loop_view(world.ledger).exported == 7


def test_each_place_of_the_record_shows_up_to_where_it_has_it(world):
    world.turn_loop(places={"folder:/mnt/record": 7, "https://eos.example/retrigger": 0})
    scraped = scrape(world)

    assert value(scraped, "record_place_sequence", place="folder:/mnt/record") == 7
    assert value(scraped, "record_place_sequence", place="https://eos.example/retrigger") == 0


def test_what_the_board_gave_beside_its_emulator_is_shown_with_its_bound_and_absent_where_nobody_looks(world):
    silent = scrape(world)
    world.turn_loop(board={SLOT: COMPARED})
    scraped = scrape(world)

    assert PREFIX + "board_events_compared" not in silent
    assert value(scraped, "board_events_compared", slot=SLOT) == 2700
    assert value(scraped, "board_events_differing", slot=SLOT) == 2
    assert value(scraped, "board_events_unreadable", slot=SLOT) == 3
    assert value(scraped, "board_mismatch_high_ratio", slot=SLOT) == 0.004


def test_the_beam_mode_is_named_and_absent_while_it_is_unknown(world):
    known = scrape(world)
    world.turn_loop(beam_mode="")

    assert value(known, "beam_mode_info", mode="STABLE BEAMS") == 1
    assert PREFIX + "beam_mode_info" not in scrape(world)


def test_a_waiver_counts_once_until_it_is_over(world):
    asked, built, judged, *_ = [one.fact for one in world.ledger.facts(subject=world.propose())]
    unsure = replace(judged.gates[0], verdict="inconclusive")
    doubtful = replace(judged, gates=(unsure, *judged.gates[1:]), evidence_root="e" * 64)
    world.ledger.append("c-0002", [replace(asked, candidate="c-0002", number=2), built, doubtful])
    waived = {"gate": unsure.name, "evidence_root": "e" * 64, "reason": "known", "at": world.now, "actor": "web"}
    later = world.now + timedelta(hours=2)
    voices = [b.Waived(person=who, role="coordinator", expires_at=later, **waived) for who in ("carla", "timo")]
    world.ledger.append("c-0002", voices)
    open_now = value(scrape(world), "waivers", slot=SLOT)
    world.now = later

    assert open_now == 1
    assert value(scrape(world), "waivers", slot=SLOT) == 0


def test_the_last_rehearsal_shows_how_long_it_took(world):
    walked = {"actor": "timo", "slot": SLOT, "from_digest": "a" * 64, "to_digest": "b" * 64, "target": "crate"}
    before = scrape(world)
    world.ledger.append(SLOT, [b.RollbackRehearsed(at=NOON, seconds=3.5, **walked)])
    world.ledger.append(SLOT, [b.RollbackRehearsed(at=NOON, seconds=41.0, **walked)])

    assert PREFIX + "rollback_rehearsal_seconds" not in before
    assert value(scrape(world), "rollback_rehearsal_seconds", slot=SLOT) == 41


def test_a_kind_of_fact_that_never_was_stands_at_zero_and_a_drill_is_not_counted_as_it_is_seeded(world):
    scraped = scrape(world)

    assert value(scraped, "facts_total", kind="guard_tripped") == 0
    assert (("kind", "drill_seeded"),) not in scraped[PREFIX + "facts_total"]
