"""How long one scrape of everything takes, and how long the loop stands still while it is scraped each second.

The full set of three models of 57 features is rendered as text and as OpenMetrics; then a real ledger's metrics are
scraped over HTTP once a second while a thread like the loop ticks as fast as it can.  Prints one JSON object.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder

from benchmarks.full_snapshot import full_glance, full_snapshot
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.metrics import collector_registry, serve_metrics
from daemon.snapshot import LoopView, snapshot_of

ROUNDS = 40
SECONDS = 30.0
ALARMS, CANDIDATES, PAUSES = 200, 40, 20
"""What a year of data taking leaves: the cost of a scrape grows with these, not with lumisections."""
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def timed(render: Callable[[], bytes]) -> dict[str, float]:
    """Return processor time, median and longest wall time of rendering, in milliseconds, and the size."""
    render()
    took, spent = [], []
    for _ in range(ROUNDS):
        begun, cpu = time.perf_counter(), time.thread_time()
        text = render()
        took.append(1000 * (time.perf_counter() - begun))
        spent.append(1000 * (time.thread_time() - cpu))
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {
        "cpu_median_ms": round(statistics.median(spent), 1),
        "median_ms": round(statistics.median(took), 1),
        "longest_ms": round(max(took), 1),
        "series": len(lines),
        "bytes": len(text),
    }


def fill(ledger: Ledger, *, alarm: str = "real_shift", training: bool = True) -> None:
    """Write a year of alarms, candidates and pauses.

    Args:
        ledger: Where to.
        alarm: Their verdict; one that asks for nothing where a daemon will run on it.
        training: Whether candidates stand in training; else they were given up.
    """
    ledger.append("daemon", [f.Paused(at=NOW, actor="bench", reason=str(n)) for n in range(PAUSES)])
    body = {"verdict": alarm, "run": 401_234, "lumisection": 7, "text": "x" * 400}
    alarms = [
        f.AlarmRaised(at=NOW, actor="daemon", stream="ZeroBias", alarm_id=f"a{n}", alarm=body) for n in range(ALARMS)
    ]
    ledger.append("ZeroBias", alarms)
    for number in range(1, CANDIDATES + 1):
        name = f"c-{number:04d}"
        asked = f.CandidateRequested(
            at=NOW,
            actor="daemon",
            candidate=name,
            number=number,
            slot="L1_AXO",
            trigger="drift",
            initiator="daemon",
            recipe_digest="ab" * 32,
            recipe={"slot": "L1_AXO", "lumisections": [[401_234, 1, 2_000]] * 20},
            reason="shift",
        )
        failed = [f.TrainingFailed(at=NOW, actor="daemon", reason="x", attempt=n) for n in (1, 2, 3)]
        gone = () if training else (f.GivenUp(at=NOW, actor="daemon", reason="x"),)
        ledger.append(name, [asked, *failed, *gone])


def under_scrapes(folder: Path, seconds: float) -> dict[str, float]:
    """Return the longest gap of a thread that ticks while a ledger of many facts is scraped once a second."""
    with Ledger.open(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        fill(ledger)
        view = LoopView(started=NOW, glances={"ZeroBias": full_glance("L1_AXO")}, evidence={"ZeroBias": (0.0, 11.6)})
        ledger.put_status("loop", view.to_json(), NOW)
        server = serve_metrics("127.0.0.1:0", lambda: snapshot_of(ledger, datetime.now(tz=UTC)))
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        stop, gaps, took = threading.Event(), [0.0], []

        def tick() -> None:
            last = time.perf_counter()
            while not stop.is_set():
                time.sleep(0.001)
                now = time.perf_counter()
                gaps[0] = max(gaps[0], now - last)
                last = now

        cpu = time.process_time()
        ticking = threading.Thread(target=tick)
        ticking.start()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            begun = time.perf_counter()
            with urllib.request.urlopen(address, timeout=10) as answer:
                answer.read()
            took.append(1000 * (time.perf_counter() - begun))
            time.sleep(max(0.0, 1.0 - (time.perf_counter() - begun)))
        spent = time.process_time() - cpu
        stop.set()
        ticking.join()
        server.shutdown()
        server.server_close()
    return {
        "scrapes": len(took),
        "scrape_median_ms": round(statistics.median(took), 1),
        "cpu_share": round(spent / seconds, 3),
        "longest_gap_ms": round(1000 * gaps[0], 1),
    }


def main() -> None:
    """Measure and print."""
    registry = collector_registry(full_snapshot)
    render, _ = choose_encoder("application/openmetrics-text")
    with tempfile.TemporaryDirectory() as folder:
        told = {
            "text": timed(lambda: generate_latest(registry)),
            "openmetrics": timed(lambda: render(registry)),
            "loop": under_scrapes(Path(folder), float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
