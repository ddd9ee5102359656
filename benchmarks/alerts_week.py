"""Causes against alerts, on a real Prometheus and a real Alertmanager: each alert for its cause and nothing else.

A simulated week passes at `SPEED`: our rules and our Alertmanager configuration are loaded with every duration divided
by it and `time()` read from the simulated clock, nothing else changed.  Each cause is set, held until its alert came to
people and a while longer, and cleared; what was told meanwhile is one row.  ``make alerts-week``.
"""

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from benchmarks.experiment import CAUSES, Experiment
from daemon.metrics import collector_registry
from tests.e2e.real_prometheus import Prometheus, alertmanager, prometheus

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "docs" / "benchmarks" / "rows" / "alerts_week.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "alerts.md"
SPEED = 120.0
EVERY = "1s"
"""Shorter, and a busy machine misses scrapes, which is a cause of its own."""
HOLD = timedelta(minutes=25)
PATIENCE = timedelta(hours=14)
EXPECTED = {
    "daemon_gone": "DaemonAbsent",
    "loop_stuck": "LoopStuck",
    "lagging": "Lagging",
    "blind": "Blind",
    "quarantine": "QuarantineGrowing",
    "beam_mode_unknown": "BeamModeUnknown",
    "inputs_unreadable": "InputsUnreadable",
    "scores_silent": "ScoresSilent",
    "detector": "DetectorBroken",
    "contract": "ContractBroken",
    "shift": "RealShift",
    "evidence_rising": "EvidenceRising",
    "seed_off": "RateOff",
    "menu_differs": "MenuDiffers",
    "mismatch": "VectorsMismatch",
    "retrain_failed": "RetrainFailed",
    "retrain_late": "RetrainLate",
    "approval_waits": "ApprovalWaits",
    "approval_expires": "ApprovalExpires",
    "board_differs": "BoardDiffers",
    "not_rehearsed": "RollbackNotRehearsed",
    "audit_broken": "AuditBroken",
    "not_exported": "AuditNotExported",
    "outbox_stuck": "OutboxStuck",
    "disk_low": "DiskLow",
    "paused": "Paused",
}
"""What each cause must raise, without the prefix.  The dead man's switch must be told all the time, by nothing."""
DURATION = re.compile(r"(\[|for: |wait: |interval: )(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def sped_up(text: str, speed: float) -> str:
    """Return rules or a configuration with every duration divided, and `time()` read from the simulated clock."""

    def shorter(found: re.Match[str]) -> str:
        length_ms = int(found[2]) * SECONDS[found[3]] * 1000 / speed
        return f"{found[1]}{max(round(length_ms), 0)}ms"

    return DURATION.sub(shorter, text).replace("time()", "scalar(simulated_time_seconds)")


class _Clock(Collector):
    """Gives out the simulated time, which the rules read instead of the real one."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge."""
        now = self._experiment.now.timestamp()
        yield GaugeMetricFamily("simulated_time_seconds", "Simulated Unix time.", value=now)


@dataclass
class Stage:
    """The experiment with its clock, the door for the scraper, and what people were told.

    Attributes:
        experiment: What is scraped.
        speed: Simulated seconds in a real one.
        told: (real time, alert, status) of every notification.
    """

    experiment: Experiment
    speed: float
    told: list[tuple[float, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._begun, self._from = time.monotonic(), self.experiment.now
        self._registry = collector_registry(self.experiment.snapshot)
        self._clock = CollectorRegistry()
        for registry in (self._registry, self._clock):
            registry.register(_Clock(self.experiment))

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._from + timedelta(seconds=(time.monotonic() - self._begun) * self.speed)

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return everything that is scraped now, and its kind; of a daemon that is gone only the clock is left."""
        render, kind = choose_encoder(accept)
        with self._lock:
            self.experiment.step(self.now())
            gone = "daemon_gone" in self.experiment.causes
            return render(self._clock if gone else self._registry), kind

    def begin(self, cause: str) -> None:
        """Let a cause begin now."""
        with self._lock:
            self.experiment.step(self.now())
            self.experiment.set(cause)

    def end(self, cause: str) -> None:
        """Let it end now."""
        with self._lock:
            self.experiment.step(self.now())
            self.experiment.clear(cause)

    def wait(self, simulated: timedelta) -> None:
        """Let simulated time pass."""
        time.sleep(simulated.total_seconds() / self.speed)

    def since(self, moment: float) -> set[str]:
        """Return the alerts that people were told of since a moment (monotonic), without the dead man's switch."""
        names = {name for at, name, status in self.told if at >= moment and status == "firing"}
        return {name.removeprefix("Retrigger") for name in names} - {"Watchdog"}


@contextmanager
def doors(stage: Stage) -> Iterator[int]:
    """Serve metrics, and take what Alertmanager sends; gives the port."""

    class Door(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:  # the server's name
            """Answer a scrape."""
            text, kind = stage.scrape(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:  # the server's name
            """Take a notification."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            at = time.monotonic()
            stage.told += [(at, one["labels"]["alertname"], one["status"]) for one in body["alerts"]]
            self.send_response(200)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def stage(
    folder: Path, speed: float, *, always_beams: bool, every: str = EVERY
) -> Iterator[tuple[Stage, str, Prometheus]]:
    """Run the experiment, Prometheus and Alertmanager on our rules and configuration; gives all three."""
    start = datetime.now(tz=UTC)
    made = Stage(Experiment(start=start - timedelta(hours=2), now=start, always_beams=always_beams), speed)
    with doors(made) as port:
        config = sped_up((ROOT / "dashboards" / "alertmanager.yml").read_text(encoding="utf-8"), speed)
        config = config.replace("127.0.0.1:9109", f"127.0.0.1:{port}")
        rules = []
        for name in ("rules.yml", "alerts.yml"):
            rules.append(folder / name)
            rules[-1].write_text(sped_up((ROOT / "dashboards" / name).read_text(encoding="utf-8"), speed))
        with alertmanager(folder, config) as url:
            target = url.removeprefix("http://")
            more = f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{target}']}}]}}]}}\n"
            with prometheus(folder, f"127.0.0.1:{port}", *rules, more=more, every=every) as found:
                yield made, url, found


def one_cause(made: Stage, cause: str) -> dict[str, Any]:
    """Set a cause, wait until its alert was told, hold it, clear it, wait until all is quiet; return the row."""
    begun, wanted = time.monotonic(), EXPECTED[cause]
    made.begin(cause)
    delay = _until(made, lambda: wanted in made.since(begun), PATIENCE)
    made.wait(HOLD)
    told = sorted(made.since(begun))
    made.end(cause)
    cleared = time.monotonic()
    resolved = _until(made, lambda: _resolved(made, begun), PATIENCE)
    made.wait(timedelta(minutes=20))
    late = sorted(made.since(cleared) - set(told))
    return {
        "cause": cause,
        "expected": wanted,
        "told": told,
        "told_after_min": None if delay is None else round(delay / 60, 1),
        "resolved_after_min": None if resolved is None else round(resolved / 60, 1),
        "told_after_it_ended": late,
    }


def _resolved(made: Stage, begun: float) -> bool:
    told = [(name, status) for at, name, status in list(made.told) if at >= begun and name != "RetriggerWatchdog"]
    last = dict(told)
    return all(status == "resolved" for status in last.values())


def _until(made: Stage, seen: Any, patience: timedelta) -> float | None:
    """Wait until something is so; return after how many simulated seconds, None if it never was."""
    begun = time.monotonic()
    while time.monotonic() - begun < patience.total_seconds() / made.speed:
        if seen():
            return (time.monotonic() - begun) * made.speed
        time.sleep(0.1)
    return None


def main() -> None:
    """Play the week and write rows and page."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--days", type=float, default=7.0)
    asked.add_argument("--speed", type=float, default=SPEED)
    asked.add_argument("--only", nargs="*", default=list(EXPECTED), help="only these; other rows stay as they were")
    asked.add_argument("--always-beams", action="store_true", help="do not wait for the next fill")
    words = asked.parse_args()
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as name,
        stage(Path(name), words.speed, always_beams=words.always_beams) as (made, _, _),
    ):
        begun = time.monotonic()
        made.wait(timedelta(hours=2))
        for cause in words.only:
            while not words.always_beams and not _early_in_fill(made):
                made.wait(timedelta(minutes=10))
            rows.append({**one_cause(made, cause), "speed": words.speed})
            print(json.dumps(rows[-1]), flush=True)
        quiet = time.monotonic()
        left = words.days * 86_400 - (quiet - begun) * words.speed
        made.wait(timedelta(seconds=max(left, 7_200)))
        calm = {
            "cause": "none",
            "expected": "",
            "told": sorted(made.since(quiet)),
            "hours": round((time.monotonic() - quiet) * words.speed / 3600, 1),
        }
        switch = [at for at, alert, _ in made.told if alert == "RetriggerWatchdog"]
        gaps = [(later - earlier) * words.speed / 60 for earlier, later in pairwise(switch)]
        rows.append({**calm, "switch": len(switch), "longest_switch_gap_min": round(max(gaps, default=0.0), 1)})
        print(json.dumps(rows[-1]), flush=True)
    if ROWS.exists():
        before = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
        fresh = {row["cause"] for row in rows}
        rows = [*(row for row in before if row["cause"] not in fresh), *rows]
    ROWS.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    PAGE.write_text(page(rows), encoding="utf-8")


def _early_in_fill(made: Stage) -> bool:
    into = (made.now() - made.experiment.start) % timedelta(hours=14)
    return timedelta(hours=1) < into < timedelta(hours=7)


def page(rows: list[dict[str, Any]]) -> str:
    """Return the confusion table as a page of the documentation."""
    causes = [row for row in rows if row["cause"] in CAUSES]
    speeds = " and ".join(f"{speed:g}" for speed in sorted({row["speed"] for row in causes}))
    (calm,) = [row for row in rows if row["cause"] == "none"]
    right = [row for row in causes if row["told"] == [row["expected"]] and not row["told_after_it_ended"]]
    resolved = [row for row in causes if row["resolved_after_min"] is not None]
    quiet = ", ".join(calm["told"]) or "nothing"
    said = [
        f"Simulated time at {speeds} times its speed, on a real Prometheus and a real Alertmanager with our rules and",
        "our configuration, every duration divided by that. `make alerts-week`; rows in `rows/alerts_week.jsonl`.",
        "",
        f"Of {len(causes)} causes, {len(right)} raised their alert and nothing else; {len(resolved)} resolved after",
        f"they ended. In {calm['hours']} quiet hours people were told: {quiet}. The dead man's switch came",
        f"{calm['switch']} times; the longest gap was {calm['longest_switch_gap_min']} simulated minutes.",
    ]
    head = "| cause | must tell | told | told after (min) | resolved after (min) | told after it ended |"
    lines = ["# Causes against alerts", "", *said, "", head, "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row['cause']} | {row['expected']} | {', '.join(row['told']) or 'nothing'} | {row['told_after_min']} | "
        f"{row['resolved_after_min']} | {', '.join(row['told_after_it_ended'])} |"
        for row in causes
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
