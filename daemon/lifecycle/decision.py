"""What `decide` can answer: act, wait until, or done."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import Candidate
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World

ACTOR = "daemon"

Step = Literal[
    "train",  # effect: run retrain.job; then append TrainingFinished or TrainingFailed
    "verify",  # effect: evaluate the gates; then append GatesEvaluated or TrainingFailed
    "give_up",
    "propose",
    "expire",
    "stale",
    "supersede",
    "arm",
    "deploy",  # effect: target.deploy(digest, path, token=…); on failure append DeploymentFailed
    "shadow",
    "confirm",
    "pass_probation",
    "trip",
    "review_overdue",
    "abort",
    "roll_back",  # effect: target.roll_back(digest, token=…); on failure append DeploymentFailed
    "confirm_rollback",
    "restore",
    "alarm",
    "all_clear",
]


@dataclass(frozen=True, kw_only=True)
class Act:
    """Append `facts` (expecting the candidate's last sequence), then do the step's effect, if it has one."""

    step: Step
    key: str
    why: str
    facts: tuple[f.Fact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing to do before `until`, unless a new fact or another world comes first."""

    for_what: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Done:
    """Nothing is left to do with this candidate."""

    why: str


Decision = Act | Wait | Done


def act(c: Candidate, step: Step, about: str, why: str, *facts: f.Fact) -> Act:
    """Return an act whose key names candidate, step and what it is about."""
    return Act(step=step, key=f"{c.id}:{step}:{about}", why=why, facts=facts)


def expire(c: Candidate, now: datetime, why: str) -> Act:
    """Return the end of a candidate for which time, or patience, ran out."""
    request = c.request.request_id if c.request else ""
    return act(c, "expire", request, why, f.Expired(at=now, actor=ACTOR, request_id=request, reason=why))


def stale(c: Candidate, now: datetime, changed: tuple[str, ...]) -> Act:
    """Return the end of a request, or of its evidence, because something it rests on changed."""
    request, what = c.request.request_id if c.request else "", "; ".join(changed)
    fact = f.Staled(at=now, actor=ACTOR, request_id=request, what_changed=what)
    return act(c, "stale", request or f"{c.bundle_digest}:{c.stales}", f"changed: {what}", fact)


def halted(c: Candidate, world: World) -> str:
    """Return what halts every forward step of a candidate, empty if nothing does."""
    if world.paused:
        return "a person to resume the daemon"
    if world.open_faults:
        return f"the detector fault {', '.join(world.open_faults)} to be closed"
    if unreviewed := [o.id for o in world.others if o.slot == c.slot and o.review_overdue and o.review_owed]:
        return f"the review of why the glass was broken for {', '.join(unreviewed)}"
    return ""


def held_back(c: Candidate, world: World, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield what keeps bits from being let forward on the board: whatever halts every step, and each freeze."""
    if halting := halted(c, world):
        yield halting
    if world.frozen:
        yield f"the freeze to end ({world.frozen})"
    if window := policy.frozen_by(now):
        yield f"the freeze to end at {window.end:%Y-%m-%d %H:%M} UTC ({window.reason})"
