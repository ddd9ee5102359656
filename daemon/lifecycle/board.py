"""The next step of a candidate that is on the board, on its way there, or was there: what runs is the truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.asking import until_writable
from daemon.lifecycle.binding import changes
from daemon.lifecycle.candidate import ON_BOARD, WATCHED, Candidate, Phase
from daemon.lifecycle.decision import ACTOR, Act, Decision, Done, Wait, act
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.world import World


def deploying(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Confirm what is read back; else write again while everything still holds; else leave the old model."""
    assert c.request is not None
    assert c.started is not None
    ours = c.request.bundle_digest
    if c.rollback is not None and world.running in {None, ours}:
        return _rolling_back(c, world, policy, now, c.rollback)
    if world.running is None:
        return _cut_off(c, policy, now) or _unreadable(c, policy, now, c.phase_since, ours)
    if world.running == ours:
        return _read_back(c, world, policy, now)
    if world.running != c.request.running_digest and (alarm := _alarm_once(c, world, now, ours)):
        return alarm
    if why := next(_reasons_to_abort(c, world, policy, now), ""):
        return act(c, "abort", c.started.transition, why, _rolled_back(c, world, now, ACTOR, why))
    waiting = until_writable(c, world, policy, now) or _backing_off(c, policy, now)
    again = Act(step="deploy", key=c.started.transition, why="the write was begun and the old model still runs")
    return waiting or again


def live(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:
    """Make way for a newer model, roll back if asked to, and see that the board agrees with the record."""
    newer = [o for o in world.others if o.slot == c.slot and o.number > c.number and o.phase is Phase.LIVE]
    if newer:
        by = max(newer, key=lambda other: other.number).id
        return act(c, "supersede", by, f"{by} runs now", f.Superseded(at=now, actor=ACTOR, by=by))
    return off_board(c, world, policy, now) or Wait(for_what="a newer candidate", until=now + policy.recheck)


def off_board(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision | None:
    """Return what a candidate that is on the board does before all else: go back if it must, see that it runs."""
    if c.rollback is not None:
        return _rolling_back(c, world, policy, now, c.rollback)
    if world.running is None:
        return _unreadable(c, policy, now, c.phase_since, c.bundle_digest)
    replacing = WATCHED | {Phase.DEPLOYING}
    being_replaced = c.phase is Phase.LIVE and any(o.slot == c.slot and o.phase in replacing for o in world.others)
    if world.running != c.bundle_digest and not being_replaced:
        standing = Wait(for_what="the board to run what the record says; an alarm stands", until=now + policy.recheck)
        return _alarm_once(c, world, now, c.bundle_digest) or standing
    if world.running == c.bundle_digest and c.board_seen is not None:
        fact = f.BoardAgrees(at=now, actor=ACTOR, slot=c.slot, digest=world.running)
        return act(c, "all_clear", c.board_seen.at.isoformat(), "the board runs what the record says again", fact)
    return None


def superseded(c: Candidate, world: World, policy: Policy, now: datetime) -> Decision:  # noqa: ARG001  # one shape for all
    """Take the champion's place back, when the successor was rolled back and this one runs again."""
    mine = [o for o in world.others if o.slot == c.slot]
    fell = any(o.number > c.number and o.phase is Phase.ROLLED_BACK for o in mine)
    taken = any(o.phase in ON_BOARD | {Phase.DEPLOYING} for o in mine)
    if c.deployed is not None and fell and not taken and world.running == c.bundle_digest:
        fact = f.Restored(at=now, actor=ACTOR, slot=c.slot, digest=c.bundle_digest, read_back=world.running)
        return act(c, "restore", c.latest_at.isoformat(), "its successor was rolled back and it runs again", fact)
    return Done(why=c.closing)


def _read_back(c: Candidate, world: World, policy: Policy, now: datetime) -> Act:
    """What was written is there: into shadow if the policy or the tier asks for it, else it triggers from now on."""
    assert c.request is not None
    tier = policy.tiers.get(c.request.tier)
    seconded = tier is not None and tier.confirm_roles
    if c.glass_broken or not (policy.shadow_lumisections or seconded):
        return goes_live(c, world, policy, now, "the digest read back is the approved one")
    run, lumisection = world.next_lumisection
    fact = b.ShadowStarted(
        at=now,
        actor=ACTOR,
        slot=c.slot,
        request_id=c.request.request_id,
        digest=c.request.bundle_digest,
        read_back=world.running or "",
        effective_run=run,
        effective_lumisection=lumisection,
        lumisections=policy.shadow_lumisections,
    )
    return act(c, "shadow", c.request.request_id, "the digest read back is the approved one", fact)


def goes_live(c: Candidate, world: World, policy: Policy, now: datetime, why: str) -> Act:
    """Return that the bits trigger from the next lumisection on: watched first, if the policy asks for it."""
    assert c.request is not None
    run, lumisection = world.next_lumisection
    between_fills = world.beam_mode in policy.deploy_beam_modes
    last_fill = world.fill + between_fills if c.glass_broken and world.fill is not None else None
    fact = f.Deployed(
        at=now,
        actor=ACTOR,
        slot=c.slot,
        request_id=c.request.request_id,
        digest=c.request.bundle_digest,
        read_back=world.running or "",
        effective_run=run,
        effective_lumisection=lumisection,
        probation_lumisections=policy.probation_lumisections,
        last_fill=last_fill,
    )
    return act(c, "confirm", c.request.request_id, why, fact)


def _reasons_to_abort(c: Candidate, world: World, policy: Policy, now: datetime) -> Iterator[str]:
    """Yield why a write that was begun, and has not happened, must not happen any more."""
    assert c.request is not None
    if world.running != c.request.running_digest:
        yield "something else was put on the board meanwhile"
    if c.rollback is not None:
        yield f"{c.rollback.actor} asked: {c.rollback.reason}"
    if changed := changes(c, world, policy, also_running=c.request.bundle_digest).changed:
        yield f"changed before the write: {'; '.join(changed)}"
    if now >= c.request.expires_at:
        yield "the approval expired before the write succeeded"
    if c.deployment_failures >= policy.attempts:
        yield f"the write failed {c.deployment_failures} times, last: {c.last_failure}"


def _cut_off(c: Candidate, policy: Policy, now: datetime) -> Act | None:
    """A write that failed may have left boards mixed or half a set of bits: that goes back, it is not waited out."""
    assert c.request is not None
    since = max(c.phase_since, c.last_failure_at or c.phase_since)
    if not c.deployment_failures or now < since + timedelta(minutes=policy.read_back_minutes):
        return None
    why = f"the write failed, and for {policy.read_back_minutes:g} min the board cannot be read: {c.last_failure}"
    fact = b.GuardTripped(at=now, actor=ACTOR, request_id=c.request.request_id, guard="cut_off", reason=why)
    return act(c, "trip", f"cut_off:{c.request.request_id}", why, fact)


def _rolling_back(
    c: Candidate, world: World, policy: Policy, now: datetime, asked: f.RollbackRequested | b.GuardTripped
) -> Decision:
    """Order the way back until the former digest is read; a board that cannot be read is no reason to stay."""
    assert c.request is not None
    before, why = c.request.running_digest, f"{asked.actor} asked: {asked.reason}"
    if world.running is None and c.deployment_failures and (alarm := _unread_once(c, now, before)):
        return alarm
    if world.running in {None, c.bundle_digest}:
        tried = world.running is not None and c.deployment_failures >= policy.attempts
        if tried and (alarm := _alarm_once(c, world, now, before)):
            return alarm
        attempt = c.deployment_failures + 1
        return _backing_off(c, policy, now) or act(c, "roll_back", f"{asked.at.isoformat()}:{attempt}", why)
    if world.running != before and (alarm := _alarm_once(c, world, now, before)):
        return alarm
    fact = _rolled_back(c, world, now, asked.actor, asked.reason)
    return act(c, "confirm_rollback", asked.at.isoformat(), "another digest than this one was read back", fact)


def _rolled_back(c: Candidate, world: World, now: datetime, by: str, why: str) -> f.RolledBack:
    run, lumisection = world.next_lumisection
    return f.RolledBack(
        at=now,
        actor=ACTOR,
        slot=c.slot,
        from_digest=c.bundle_digest,
        to_digest=world.running or "",
        by=by,
        reason=why,
        effective_run=run,
        effective_lumisection=lumisection,
    )


def _backing_off(c: Candidate, policy: Policy, now: datetime) -> Wait | None:
    if not c.deployment_failures or c.last_failure_at is None:
        return None
    retry = c.last_failure_at + policy.backoff(c.deployment_failures)
    return Wait(for_what="the next attempt to write the board", until=retry) if now < retry else None


def _unreadable(c: Candidate, policy: Policy, now: datetime, since: datetime, expected: str) -> Decision:
    """An unread board is never assumed to run anything: wait, raise one alarm, go on looking."""
    deadline = since + timedelta(minutes=policy.read_back_minutes)
    if now < deadline:
        return Wait(for_what="the board to be readable", until=deadline)
    standing = Wait(for_what="the board to be readable; an alarm stands", until=now + policy.recheck)
    return _unread_once(c, now, expected) or standing


def _unread_once(c: Candidate, now: datetime, expected: str) -> Act | None:
    if c.board_seen is not None and not c.board_seen.found:
        return None
    fact = f.BoardDiffers(at=now, actor=ACTOR, slot=c.slot, expected=expected, found="")
    return act(c, "alarm", f"unreadable:{c.latest_at.isoformat()}", "the board cannot be read back", fact)


def _alarm_once(c: Candidate, world: World, now: datetime, expected: str) -> Act | None:
    found = world.running or "nothing"
    if c.board_seen is not None and (c.board_seen.expected, c.board_seen.found) == (expected, found):
        return None
    fact = f.BoardDiffers(at=now, actor=ACTOR, slot=c.slot, expected=expected, found=found)
    why = f"the board runs {found[:16]}, the record says {expected[:16]}"
    return act(c, "alarm", f"{expected}:{found}:{c.latest_at.isoformat()}", why, fact)
