"""How long the daemon's loop stands still while everything is scraped once a second, in the daemon's own process.

A real daemon runs on a folder as a user would make it, with the facts of a year in its record.  Its clock, an argument
of `daemon.reconcile.run`, notes when the loop asks for the time; the longest time between two such questions is the
gap.  Beside its own metrics, the process gives out the full set of three models of 57 features, each figure of the
record read from the real ledger at each scrape.  Phases: quiet, scraped, scraped while files arrive, and files alone.
Prints one JSON object; run as ``python -m benchmarks.daemon_gap``.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.full_snapshot import MODELS, full_snapshot
from benchmarks.scrape import fill
from daemon import config, reconcile
from daemon.assemble import parts
from daemon.ledger import Ledger
from daemon.metrics import serve_metrics
from daemon.snapshot import Snapshot, snapshot_from
from drift.simulate import simulate
from tests.e2e.homes import deliver, home_with_reference
from tests.e2e.real_prometheus import free_port

QUIET_S, SCRAPED_S = 15.0, 30.0
SIZES: Mapping[str, Any] = {"lumisections_per_fill": 24, "events_per_lumisection": 200, "lumisections_per_file": 2}
TICKS = "ticks.json"


def everything(ledger: Ledger) -> Snapshot:
    """Return three models' figures: those of the record from the ledger, those of the data made up and whole."""
    now = datetime.now(tz=UTC)
    whole = full_snapshot(now)
    streams, slots = zip(*MODELS, strict=True)
    real = snapshot_from(ledger, now, loop=whole.loop, streams=streams, slots=slots)
    figures = {
        slot: replace(whole.slots[slot], retrain_seconds=one.retrain_seconds) for slot, one in real.slots.items()
    }
    return replace(real, slots=figures)


def run_daemon(home: Path, listen: str) -> None:
    """Run the daemon until SIGTERM, then write when its loop asked for the time."""
    ticks: list[float] = []
    spent: list[float] = []

    def source() -> Snapshot:
        begun = time.thread_time()
        shown = everything(ready.ledger)
        spent.append(1000 * (time.thread_time() - begun))
        return shown

    def clock() -> datetime:
        if threading.current_thread() is threading.main_thread():
            ticks.append(time.time())
        return datetime.now(tz=UTC)

    with parts(config.load(home / "retrigger.toml")) as ready:
        server = serve_metrics(listen, source)
        reconcile.run(ready, clock=clock)
        server.shutdown()
        server.server_close()
    (home / TICKS).write_text(json.dumps({"ticks": ticks, "snapshot_cpu_ms": spent}), encoding="utf-8")


def scraped(address: str, until: Callable[[], bool]) -> list[float]:
    """Scrape once a second until told; return what each took, in milliseconds."""
    took = []
    while not until():
        begun = time.perf_counter()
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # loopback
            answer.read()
        took.append(1000 * (time.perf_counter() - begun))
        time.sleep(max(0.0, 1.0 - (time.perf_counter() - begun)))
    return took


def longest_ms(ticks: Sequence[float], begin: float, end: float) -> float:
    """Return the longest time between two questions for the time that reaches into a phase, in milliseconds."""
    return round(1000 * max((b - a for a, b in pairwise(ticks) if b > begin and a < end), default=0.0), 1)


def measure(base: Path) -> dict[str, object]:
    """Make a folder, run the daemon on it, and return the figures of each phase."""
    simulate("none", 4, 7, base / "healthy", **SIZES)
    live = simulate("none", 1, 8, base / "live", first_fill=10_200, **SIZES)
    home, _ = home_with_reference(base, live.conditions)
    with Ledger.open(config.load(home / "retrigger.toml").ledger.url) as ledger:
        fill(ledger, alarm="transient", training=False)
    listen = f"127.0.0.1:{free_port()}"
    address = f"http://{listen}/metrics"
    with (home / "daemon.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.daemon_gap", str(home), listen], stdout=log, stderr=log
        )
    try:
        return phases(child, home, address, list(live.files))
    finally:
        child.kill()
        child.wait()


def phases(child: "subprocess.Popen[bytes]", home: Path, address: str, files: Sequence[Path]) -> dict[str, object]:
    """Take the daemon through the phases, stop it, and read when its loop asked for the time."""
    answered = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # loopback
                series = sum(not line.startswith(b"#") for line in answer)
            break
        except OSError:
            assert child.poll() is None, (home / "daemon.log").read_text()
            assert time.monotonic() < answered, "the daemon gave out no metrics within two minutes"
            time.sleep(0.2)
    time.sleep(5.0)  # what it does first is not what it does
    edges, half = [time.time()], len(files) // 2
    time.sleep(QUIET_S)
    edges.append(time.time())
    took = scraped(address, lambda: time.time() > edges[-1] + SCRAPED_S)
    edges.append(time.time())
    deliver(home, *files[:half])
    busy = scraped(address, lambda: has_taken(home, half))
    time.sleep(2.0)  # until that turn is over
    edges.append(time.time())
    deliver(home, *files[half:])
    while not has_taken(home, len(files)):
        time.sleep(0.2)
    time.sleep(2.0)
    edges.append(time.time())
    child.send_signal(signal.SIGTERM)
    child.wait(60)
    told = json.loads((home / TICKS).read_text(encoding="utf-8"))
    ticks = told["ticks"]
    names = ("quiet", "scraped", "scraped_with_files", "files_alone")
    load = [round(one, 1) for one in os.getloadavg()]
    return {
        "series": series,
        "scrape_ms": {"median": round(statistics.median(took), 1), "longest": round(max(took + busy), 1)},
        "snapshot_cpu_median_ms": round(statistics.median(told["snapshot_cpu_ms"]), 1),
        "longest_gap_ms": {name: longest_ms(ticks, edges[n], edges[n + 1]) for n, name in enumerate(names)},
        "turns": len(ticks),
        "load_average": load,
    }


def has_taken(home: Path, files: int) -> bool:
    """Return whether so many files stand in the record."""
    with Ledger.open(config.load(home / "retrigger.toml").ledger.url) as ledger:
        return sum(n for (_, outcome), n in ledger.figures().files.items() if outcome == "accepted") >= files


def main() -> None:
    """Measure and print, or be the daemon."""
    if len(sys.argv) == 3:
        run_daemon(Path(sys.argv[1]), sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder))))


if __name__ == "__main__":
    main()
