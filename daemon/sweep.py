"""Many recipes on the same data, each a job like any other; one row says how each of them ended.

What is done stays done: rows and counts of failures are on disk after every end, so the same sweep started again goes
on where it was stopped or killed.  A job whose machinery fails is taken up again from its last whole stage, a stated
number of times; then it is given up and the others go on.  Which of the recipes is best is not for a sweep to say.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.errors import SetupError
from daemon.output import writing
from daemon.sweep_plan import Entry
from daemon.training import JobRunner, JobState, write_job
from retrain.progress import read_whole, write_whole

ROWS, FAILURES = "rows.jsonl", "failures.json"
LOOK_S = 0.2
ENDED = frozenset({"candidate", "refused"})
"""Verdicts that stand; a job that was given up is taken up again when somebody says so."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """What is swept, and where.

    Attributes:
        entries: The recipes.
        job: A job description whose recipe each entry's takes the place of.
        out: Folder of rows, jobs and bundles.
        failures: How often a job may fail before it is given up.
    """

    entries: Sequence[Entry]
    job: Mapping[str, Any]
    out: Path
    failures: int

    def folder(self, entry: Entry) -> Path:
        """Return the job folder of an entry."""
        return self.out / "jobs" / entry.recipe.digest[:16]

    def description(self, entry: Entry) -> dict[str, Any]:
        """Return the job of an entry: the same data, its own recipe."""
        recipe = entry.recipe
        kept = {"signals": recipe.signals, "faults": ("healthy", *recipe.faults) if recipe.faults else ()}
        own: dict[str, Any] = {
            name: [one for one in self.job.get(name) or () if one["name"] in wanted] for name, wanted in kept.items()
        }
        return {**self.job, **own, "recipe": recipe.to_json(), "out": str(self.out / "bundles")}


def rows_of(out: Path) -> list[Row]:
    """Return the rows of a sweep so far, in the order of its plan; after them those that only an earlier plan names."""
    try:
        return [json.loads(line) for line in (out / ROWS).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a sweep's folder for this process; the kernel lets go of it when the process ends.

    Raises:
        SetupError: Another process sweeps there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(f"another process sweeps in {out}; wait for it, or name another folder") from error
        yield


def forgive(out: Path) -> int:
    """Forget every failure, and that a recipe was given up; return how many were."""
    rows = rows_of(out)
    kept = [row for row in rows if row["verdict"] != "given_up"]
    _keep(out, kept)
    write_whole(out / FAILURES, {})
    return len(rows) - len(kept)


def run(
    sweep: Sweep, runner: JobRunner, *, width: int, clock: Callable[[], datetime], say: Callable[[Row], None]
) -> list[Row]:
    """Bring every recipe to an end and return the rows, in the order of the plan.

    Args:
        sweep: What to do; rows of an earlier start of it are kept.
        runner: What runs the jobs.
        width: Jobs that are handed to it at once.
        clock: Where the time comes from.
        say: Told every new row.

    Raises:
        SetupError: Nothing can be written to the folder, or a plan of other data was begun there.
    """
    places = {entry.recipe.digest: entry for entry in sweep.entries}
    before = rows_of(sweep.out)
    done = {row["recipe"]: row for row in before if row["recipe"] in places}
    others = [row for row in before if row["recipe"] not in places]  # of an earlier plan; what is done stays done
    failures: dict[str, int] = dict(read_whole(sweep.out / FAILURES) or {})
    waiting = [digest for digest in places if digest not in done]
    begun: dict[str, float] = {}
    while waiting or begun:
        while waiting and len(begun) < width:
            digest = waiting.pop(0)
            write_job(sweep.folder(places[digest]), sweep.description(places[digest]))
            begun[digest] = time.monotonic()
        ended = [row for digest in begun if (row := _step(sweep, runner, places[digest], failures, clock()))]
        for row in ended:
            row["wall_s"] = round(time.monotonic() - begun.pop(row["recipe"]), 1)
            done[row["recipe"]] = row
            _keep(sweep.out, [*(done[digest] for digest in places if digest in done), *others])
            say(row)
        if not ended:
            time.sleep(LOOK_S)
    return [done[digest] for digest in places]


def _step(sweep: Sweep, runner: JobRunner, entry: Entry, failures: dict[str, int], now: datetime) -> Row | None:
    """Start, look, count; return the row when it is the end."""
    folder, digest = sweep.folder(entry), entry.recipe.digest
    state = runner.look(folder, now)
    if state.phase == "running":
        return None
    verdict = str((state.result or {}).get("verdict", ""))
    if state.phase == "finished" and verdict != "failed":
        return _row(sweep, entry, state.result or {}, failures.get(digest, 0), state.losses)
    if state.phase != "absent":
        failures[digest] = failures.get(digest, 0) + max(state.losses, 1)
        write_whole(sweep.out / FAILURES, failures)
        why = state.text or str((state.result or {}).get("reason", "no reason given"))
        _aside(folder, state, failures[digest])
        if failures[digest] >= sweep.failures:
            end = {"verdict": "given_up", "reason": f"failed {failures[digest]} times, last: {why}"}
            return _row(sweep, entry, end, failures[digest], 0)
    runner.start(folder)
    return None


def _aside(folder: Path, state: JobState, number: int) -> None:
    """Keep a failed result for people, and make room for another."""
    if state.phase == "finished":
        (folder / "result.json").rename(folder / f"result.failed-{number}.json")


def _keep(out: Path, rows: Sequence[Row]) -> None:
    with writing(out / ROWS, "the rows of the sweep") as sink:
        sink.write("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode())


def _row(sweep: Sweep, entry: Entry, result: Mapping[str, Any], failures: int, losses: int) -> Row:
    folder = sweep.folder(entry)
    seconds = result.get("seconds") or {}
    row = {
        "recipe": entry.recipe.digest,
        "changes": dict(entry.changes),
        "verdict": result["verdict"],
        "reason": str(result.get("reason", "")),
        "digest": result.get("digest"),
        "gates": {one["name"]: one["verdict"] for one in result.get("gates") or ()},
        "resources": _resources(folder / "stages"),
        "working_point": _working_point(folder / "stages"),
        "seconds": round(sum(seconds.values()), 1),  # of what was not done before a kill
        "failures": failures,
        "losses": losses,
        "path": str(folder),
        "bundle": result.get("bundle"),
    }
    if row["verdict"] in ENDED:  # what was given up may be taken up again, from its whole stages
        for name in ("features.npy", "pure.npy"):  # the copy of the events; the same for every job of the sweep
            (folder / "stages" / "1-dataset" / name).unlink(missing_ok=True)
    return row


def _resources(stages: Path) -> dict[str, Any]:
    """Return what the network takes: as synthesis counted, else as the search did; empty when it was not reached."""
    tries = (_last(stages, "*-module*", "search.json") or {}).get("tries") or []
    counted = _last(stages, "*-synthesis", "resources.json") or {}
    told: dict[str, Any] = {
        name: counted[name] for name in ("lut", "ff", "dsp", "latency_ticks", "status") if name in counted
    }
    if tries and not told:
        told = {"lut": tries[-1]["lut"], "ff": tries[-1]["ff"], "latency_ticks": tries[-1]["ticks"]}
    return {**told, "tries": len(tries)} if told else {}


def _working_point(stages: Path) -> dict[str, Any]:
    point = _last(stages, "*-working_point", "working_point.json") or {}
    return {name: point[name] for name in ("threshold", "rate_hz", "low_hz", "high_hz", "passing") if name in point}


def _last(stages: Path, pattern: str, name: str) -> dict[str, Any] | None:
    found = [value for path in sorted(stages.glob(f"{pattern}/{name}")) if (value := read_whole(path)) is not None]
    return found[-1] if found else None


def base_job(path: Path) -> dict[str, Any]:
    """Return a job description to sweep on, such as that of a candidate in the state folder.

    Raises:
        SetupError: There is none, or its recipe is for a threshold alone.
    """
    value = read_whole(path)
    if value is None or not {"recipe", "lumisections", "out"} <= set(value):
        raise SetupError(f"{path} is no job description; name the job.json of a candidate, below state/jobs")
    if value["recipe"].get("action", "weights") != "weights":
        raise SetupError(f"{path} is of a threshold alone, which trains nothing; name the job of a candidate's weights")
    return value
