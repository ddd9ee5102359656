"""A stretch of a simulated experiment, written as a file that promtool turns into blocks of a real Prometheus.

So half a day can be drawn, with its rates and its history, without waiting for half a day.
"""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import generate_latest

from benchmarks.experiment import Experiment
from daemon.metrics import collector_registry

Script = tuple[tuple[float, str, bool], ...]
"""Hours from the beginning, a cause, and whether it begins or ends."""


def backfill(folder: Path, hours: float, script: Script, *, step_s: int = 60, end: datetime | None = None) -> Path:
    """Write blocks that end now under ``folder/tsdb``; return that folder.

    Args:
        folder: Where to.
        hours: How long.
        script: What goes wrong when.
        step_s: Simulated seconds between two scrapes.
        end: When it ends; now if not said.
    """
    end = end or datetime.now(tz=UTC)
    begin = end - timedelta(hours=hours)
    experiment = Experiment(start=begin - timedelta(hours=6), now=begin)
    registry = collector_registry(experiment.snapshot)
    due = sorted(script)
    text = folder / "history.om"
    with text.open("w", encoding="utf-8") as out:
        for n in range(int(hours * 3600 / step_s) + 1):
            at = begin + timedelta(seconds=n * step_s)
            experiment.step(at)
            while due and due[0][0] * 3600 <= n * step_s:
                _, cause, begins = due.pop(0)
                (experiment.set if begins else experiment.clear)(cause)
            for line in generate_latest(registry).decode().splitlines():
                if not line.startswith("#"):
                    series, _, value = line.rpartition(" ")
                    out.write(f"{_with_job(series)} {value} {at.timestamp():.3f}\n")
        out.write("# EOF\n")
    target = folder / "tsdb"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    text.unlink()
    return target


def _with_job(series: str) -> str:
    labels = 'instance="p5:9108",job="retrigger"'
    if series.endswith("}"):
        return f"{series[:-1]},{labels}}}"
    return f"{series}{{{labels}}}"
