"""A first champion, trained and proven like any candidate, from certified reference fills."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon import signal_list
from daemon.assemble import utc_now
from daemon.config import Settings
from daemon.errors import JobError, VerdictError
from daemon.recipes import placed, recipe_of
from daemon.scan import keep_events
from daemon.training import JobRunner, JobState, write_job
from retrain.recipe import Recipe, ranges


def first_job(paths: list[Path], settings: Settings, *, conditions: Path | None) -> tuple[Path, Recipe]:
    """Write the job of a first champion and return its folder and recipe; the contract is derived from its data."""
    lessons = keep_events(paths, settings, conditions=conditions)
    recipe = recipe_of(settings, ranges((one["run"], one["lumisection"]) for one in lessons))
    folder = settings.state / "jobs" / f"first-{recipe.digest[:12]}"
    job = job_on(lessons, recipe, settings)
    write_job(folder, job)
    return folder, recipe


def job_on(lessons: list[dict[str, Any]], recipe: Recipe, settings: Settings) -> dict[str, Any]:
    """Return the job of a recipe without a champion on these lumisections."""
    return {
        "recipe": recipe.to_json(),
        "lumisections": lessons,
        "champion": None,
        "out": str(settings.state / "bundles"),
        "exclude_reasons": {},
        "signals": signal_list.listed(settings.retrain.signals),
        **placed(settings),
    }


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
