"""Whether a new candidate may be asked for: not twice, not too soon, and never of a broken detector."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from daemon.errors import RefusedError
from daemon.lifecycle.facts import CandidateRequested, Trigger
from daemon.lifecycle.fold import Candidate, Phase
from daemon.lifecycle.policy import Policy


def candidate_id(number: int) -> str:
    """Return the id people type: ``c-0042``."""
    return f"c-{number:04d}"


def request_candidate(
    candidates: Iterable[Candidate],
    policy: Policy,
    *,
    slot: str,
    trigger: Trigger,
    initiator: str,
    recipe_digest: str,
    recipe: Mapping[str, Any],
    reason: str,
    number: int,
    open_faults: Iterable[str],
    paused: str,
    now: datetime,
) -> CandidateRequested:
    """Return the fact that starts a candidate.  Append it with `expect_sequence=0`, so that a number is used once.

    Args:
        candidates: All candidates of every slot.
        policy: For the cool-down.
        slot: Which model.
        trigger: ``drift`` obeys the cool-down, which the last candidate that drift asked for began; no other does.
        initiator: ``daemon`` or a person's name; that person cannot approve the candidate.
        recipe_digest: Identity of the recipe; one candidate per recipe, while it is not finished with.
        recipe: The recipe itself, as JSON.
        reason: One sentence.
        number: One more than the last candidate's.
        open_faults: Ids of the open faults of the slot's stream.
        paused: Why the daemon is paused; empty if it is not.
        now: UTC.

    Raises:
        RefusedError: Retraining is blocked; the text says by what, and until when.
    """
    faults = sorted(open_faults)
    if faults:
        raise RefusedError(
            f"{slot}: the detector is held to be broken ({', '.join(faults)}); close the fault, then retrain"
        )
    if paused:
        raise RefusedError(f"{slot}: the daemon is paused ({paused}); resume it, then retrain")
    mine = [candidate for candidate in candidates if candidate.slot == slot and not candidate.drill]
    clock = max((now, *(candidate.latest_at for candidate in mine)))
    busy = [c.id for c in mine if c.phase in {Phase.BUILDING, Phase.VERIFYING}]
    if busy:
        raise RefusedError(f"{slot}: {busy[0]} is already being built; wait for it")
    same = [c for c in mine if c.recipe_digest == recipe_digest and c.phase is not Phase.FAILED]
    if same:
        raise RefusedError(
            f"{slot}: {same[-1].id} has this very recipe and is {same[-1].phase}; change the recipe or use it"
        )
    last = max((candidate.requested_at for candidate in mine if candidate.trigger == "drift"), default=None)
    if trigger == "drift" and last is not None and clock < (free := last + timedelta(hours=policy.cooldown_hours)):
        raise RefusedError(
            f"{slot}: cooling down until {free:%Y-%m-%d %H:%M} UTC, {policy.cooldown_hours:g} h after the last that "
            "drift asked for"
        )
    return CandidateRequested(
        at=clock,
        actor=initiator,
        candidate=candidate_id(number),
        number=number,
        slot=slot,
        trigger=trigger,
        initiator=initiator,
        recipe_digest=recipe_digest,
        recipe=recipe,
        reason=reason,
    )
