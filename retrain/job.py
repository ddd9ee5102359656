"""One retraining as one process: ``python -m retrain.job JOBDIR``.

The job reads ``job.json``, runs the stages that are not finished yet, tells its progress, and writes
``result.json`` last.  Each stage works in a folder that is renamed when it is whole, so a kill at any instant
costs at most that stage.  It holds a lock, so that two never work on one job, and dies with its parent, so that
nothing is left running.  What a stage does is in `retrain.stages`.

Exit codes: 0 candidate, 1 refused, 2 the job description is wrong, 3 the machinery failed, 4 another process has it.
"""

import fcntl
import logging
import os
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrain.bundle import sync_tree
from retrain.child import die_with_parent
from retrain.digest import digest_of
from retrain.errors import BuildError, JobBusyError, RecipeError, RetrainError
from retrain.progress import Progress, read_whole, write_whole
from retrain.recipe import Recipe
from retrain.stages import STAGES, stages_of
from retrain.tighten import Try, tighter
from retrain.verify import GateResult, overall, reason
from retrain.work import Job, Work

CANDIDATE, REFUSED, WRONG, FAILED, BUSY = range(5)
SEARCHED = ("train", "export", "module")
"""Stages that are run anew under a tighter recipe when the network would not fit the board."""

log = logging.getLogger("retrain.job")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a job folder for this process alone; the kernel lets go of it when the process ends, however it ends.

    Raises:
        JobBusyError: Another process holds it.
    """
    with (folder / "lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobBusyError(
                f"job {folder} is being worked on by another process; wait for its result.json"
            ) from error
        yield


def run(folder: Path) -> dict[str, Any]:
    """Do whatever of the job is not done, and return its result; an earlier verdict is returned as it is.

    Args:
        folder: Holds ``job.json``; stages, progress and result are written beside it.

    Raises:
        JobBusyError: Another process works on it.
    """
    with held(folder):
        result = read_whole(folder / "result.json")
        if result is not None and result.get("verdict") in {"candidate", "refused"}:
            return result
        progress = Progress(folder / "progress.json", lambda: datetime.now(UTC))
        result = _result(folder, progress)
        write_whole(folder / "result.json", result)
        progress.stage("done")
        return result


def _result(folder: Path, progress: Progress) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    blank: dict[str, Any] = {"bundle": None, "digest": None, "recipe_digest": None, "gates": []}
    try:
        value = _description(folder)
        job = Job.from_json(value)
        blank["recipe_digest"] = job.recipe.digest
        work = Work(job, {name: _place(folder, number, name) for number, (name, _) in enumerate(STAGES, 1)})
        _same_job(folder, value)
        return {**blank, **_stages(folder, work, progress, seconds), "seconds": seconds}
    except (BuildError, OSError, MemoryError) as error:
        return {**blank, **_failure(folder, "failed", error), "seconds": seconds}
    except RetrainError as error:
        return {**blank, **_failure(folder, "refused", error), "seconds": seconds}
    except Exception as error:  # noqa: BLE001 - the process border: whatever a library raises becomes a verdict
        return {**blank, **_failure(folder, "failed", error), "seconds": seconds}


def _description(folder: Path) -> dict[str, Any]:
    value = read_whole(folder / "job.json")
    if value is None:
        raise RecipeError(f"{folder / 'job.json'} is missing or not a JSON object; write it before starting the job")
    return value


def _failure(folder: Path, verdict: str, error: BaseException) -> dict[str, Any]:
    (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
    return {"verdict": verdict, "reason": f"{type(error).__name__}: {error}", "error": type(error).__name__}


def _place(folder: Path, number: int, name: str) -> Path:
    return folder / "stages" / f"{number}-{name}"


def _same_job(folder: Path, value: Mapping[str, Any]) -> None:
    """A half-done job whose description changed would mix two; refuse it."""
    mark = folder / "stages" / "job.json"
    mark.parent.mkdir(exist_ok=True)
    before = read_whole(mark)
    if before is not None and before["digest"] != digest_of(value):
        raise RecipeError(f"{folder / 'job.json'} changed after the job began; start another job for another recipe")
    if before is None:
        write_whole(mark, {"digest": digest_of(value)})


def _stages(folder: Path, work: Work, progress: Progress, seconds: dict[str, float]) -> dict[str, Any]:
    for partial in (folder / "stages").glob("*.partial*"):
        _clear(partial)
    stages = stages_of(work.job)
    for name, stage in stages:
        if name == "bundle":
            break
        finish(name, stage, work, progress, seconds)
        if name == "dataset" and work.json("dataset", "preflight.json")["findings"]:
            return _contract_refusal(work)
        if name == SEARCHED[-1] and work.job.recipe.action == "weights":
            work, fits = search(work, progress, seconds)
            if not fits:
                return _budget_refusal(work)
    results = [GateResult.from_json(one) for one in work.json("gates", "gates.json")["gates"]]
    said = {"gates": [gate.to_json() for gate in results], "reason": reason(results)}
    if overall(results) != "pass":
        return {"verdict": "refused", "evidence": str(folder / "stages"), **said}
    name, stage = stages[-1]
    finish(name, stage, work, progress, seconds)
    sealed = work.json("bundle", "bundle.json")
    return {"verdict": "candidate", "bundle": sealed["path"], "digest": sealed["digest"], **said}


def search(work: Work, progress: Progress, seconds: dict[str, float]) -> tuple[Work, bool]:
    """Train smaller networks until one fits the board or the tries are used up.

    Args:
        work: Whose first network has been trained and counted.
        progress: Told of every stage.
        seconds: Takes what each stage took; a stage that is done is not repeated.

    Returns:
        The work of the last try, and whether its network fits.
    """
    stages = dict(STAGES)
    while not (last := _last_try(work)).fits:
        tightened = tighter(work.job.recipe, last)
        if tightened is None or len(work.tries) + 1 >= work.job.recipe.tries:
            return work, last.may_pass
        work = _next(work, tightened)
        for name in SEARCHED:
            finish(name, stages[name], work, progress, seconds)
    return work, True


def _last_try(work: Work) -> Try:
    return Try.from_json(work.json(SEARCHED[-1], "search.json")["tries"][-1])


def _next(work: Work, tightened: Recipe) -> Work:
    """Return the work of the next try: the same job under a tighter recipe, its searched stages in other folders."""
    number = len(work.tries) + 2
    places = dict(work.folders)
    for name in SEARCHED:
        places[name] = places[name].with_name(f"{places[name].name.split('.')[0]}.try{number}")
    tries = tuple(work.json("module", "search.json")["tries"])
    log.info("tightened try=%d %s", number, tries[-1])
    return Work(replace(work.job, recipe=tightened), places, tries)


def _budget_refusal(work: Work) -> dict[str, Any]:
    tries = work.json("module", "search.json")["tries"]
    said = "; ".join(f"try {number}: {Try.from_json(one)}" for number, one in enumerate(tries, 1))
    summary = f"no network within the budget in {len(tries)} tries: {said}"
    gate = GateResult(5, "resources", "fail", summary, {"tries": tries})
    return {"verdict": "refused", "gates": [gate.to_json()], "reason": reason([gate])}


def _contract_refusal(work: Work) -> dict[str, Any]:
    findings = work.json("dataset", "preflight.json")["findings"]
    gate = GateResult(2, "contract", "fail", f"{len(findings)} findings, first {findings[0]}", {"findings": findings})
    return {"verdict": "refused", "gates": [gate.to_json()], "reason": reason([gate])}


def _clear(partial: Path) -> None:
    """Remove what a killed run left; its compiler may still be writing there, so the name is freed first."""
    aside = partial.with_name(f"{partial.name}.{os.getpid()}")
    partial.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def finish(name: str, stage: Any, work: Work, progress: Progress, seconds: dict[str, float]) -> None:
    """Run one stage unless its folder is there; the folder appears whole or not at all."""
    final = work.folders[name]
    if final.exists():
        return
    progress.stage(name)
    started = time.monotonic()
    partial = final.with_name(final.name + ".partial")
    partial.mkdir(parents=True)
    stage(work, partial, progress.beat)
    sync_tree(partial)
    partial.replace(final)
    seconds[name] = round(time.monotonic() - started, 2)
    log.info("stage_finished stage=%s seconds=%.1f", name, seconds[name])


def main(arguments: list[str]) -> int:
    """Run the job named on the command line and return its exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m retrain.job JOBDIR (a folder that holds job.json)\n")
        return WRONG
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.simplefilter("ignore")  # brevitas, qonnx and hls4ml warn at import and export; verdicts come from gates
    try:
        die_with_parent()
        result = run(Path(arguments[0]))
    except JobBusyError as error:
        sys.stderr.write(f"{error}\n")
        return BUSY
    sys.stderr.write(f"{result['verdict']}: {result['reason']}\n")
    if result.get("error") == "RecipeError":
        return WRONG
    return {"candidate": CANDIDATE, "refused": REFUSED}.get(result["verdict"], FAILED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
