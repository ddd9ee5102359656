"""A first champion, trained and proven like any candidate, from certified reference fills."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon import signal_list
from daemon.assemble import utc_now
from daemon.config import Settings
from daemon.errors import JobError, VerdictError
from daemon.scan import keep_events
from daemon.training import JobRunner, JobState, write_job
from retrain.recipe import Recipe, ranges


def first_job(paths: list[Path], settings: Settings, *, conditions: Path | None) -> tuple[Path, Recipe]:
    """Write the job of a first champion and return its folder and recipe; the contract is derived from its data."""
    lessons = keep_events(paths, settings, conditions=conditions)
    retrain = settings.retrain
    recipe = Recipe(
        slot=settings.stream.slot,
        lumisections=ranges((one["run"], one["lumisection"]) for one in lessons),
        model=retrain.model,
        seed=retrain.seed,
        epochs=retrain.epochs,
        batch_size=retrain.batch_events,
        target_rate_hz=retrain.target_rate_hz,
        bunches=retrain.bunches,
        proof_vectors=retrain.vectors,
        synthesise=retrain.synthesise,
        signals=signal_list.names(retrain.signals),
        margin=retrain.margin,
    )
    folder = settings.state / "jobs" / f"first-{recipe.digest[:12]}"
    job = {
        "recipe": recipe.to_json(),
        "lumisections": lessons,
        "champion": None,
        "out": str(settings.state / "bundles"),
        "exclude_reasons": {},
        "signals": signal_list.listed(retrain.signals),
    }
    write_job(folder, job)
    return folder, recipe


def finish(
    runner: JobRunner, folder: Path, say: Callable[[JobState], None], *, look_every_s: float = 0.5
) -> dict[str, Any]:
    """Run a job to its end in the foreground and return its result.

    Raises:
        JobError: The process ended without a result.
        VerdictError: The chain refused what it built.
    """
    runner.start(folder)
    while (state := runner.look(folder, utc_now())).phase in {"running", "absent"}:
        say(state)
        time.sleep(look_every_s)
        runner.start(folder)
    if state.result is None:
        raise JobError(f"{folder}: the training process ended without a result: {state.text}; see {folder}/log.txt")
    result = dict(state.result)
    if result["verdict"] != "candidate":
        raise VerdictError(f"{folder}: {result['verdict']}: {result.get('reason', 'no reason given')}")
    return result
