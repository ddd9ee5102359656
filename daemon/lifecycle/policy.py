"""What the experiment allows: who must agree, for how long, and when the board may be written.

A policy is a frozen value with a digest, and every request for approval carries that digest.  The file is read by
`daemon.policy_file`; nothing here touches a disk.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from daemon.errors import FactError, PolicyError
from daemon.lifecycle.codec import build, canonical, digest

TRIGGERS = ("drift", "cron", "manual", "fill", "online")
ROLE_LISTS = ("reject_roles", "rollback_roles", "waiver_roles", "glass_roles", "review_roles")
POSITIVE = (
    "version", "standing_hours", "requests_per_candidate", "attempts", "backoff_minutes", "recheck_minutes",
    "watch_hours", "waiver_days", "glass_hours", "review_hours", "mismatch_certainty", "rate_tolerance",
)  # fmt: skip
NOT_NEGATIVE = (
    "cooldown_hours", "read_back_minutes", "shadow_lumisections", "probation_lumisections", "rehearsal_days",
)  # fmt: skip
SHARES = ("mismatch_tolerated", "mismatch_certainty", "rate_tolerance")
ROLES = ("viewer", "ml_expert", "trigger_oncall", "firmware_expert", "coordinator", "root")


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Who must agree to one kind of change, and for how long the question stands."""

    roles: tuple[str, ...]
    ttl_hours: float
    confirm_roles: tuple[str, ...] = ()  # who must say it a second time, of what ran in shadow


@dataclass(frozen=True, kw_only=True)
class FreezeWindow:
    """A stretch of the calendar in which no board is written."""

    begin: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One version of the rules.  Hours, minutes and days are plain numbers; `policy.toml` says what each is for."""

    version: int
    tiers: Mapping[str, Tier]
    required_gates: tuple[str, ...]
    rejection_classes: tuple[str, ...]
    reject_roles: tuple[str, ...]
    rollback_roles: tuple[str, ...]
    deploy_beam_modes: tuple[str, ...]
    freeze_windows: tuple[FreezeWindow, ...]
    cooldown_hours: float
    standing_hours: float
    requests_per_candidate: int
    attempts: int
    backoff_minutes: float
    recheck_minutes: float
    read_back_minutes: float
    threshold_band: float = 0.0
    gain_required: tuple[str, ...] = ("cron", "fill", "online")
    unsigned_approvals: bool = True
    shadow_lumisections: int = 0
    probation_lumisections: int = 0
    watch_hours: float = 24.0
    mismatch_tolerated: float = 0.0
    mismatch_certainty: float = 0.001
    rate_tolerance: float = 0.1
    rehearsal_days: float = 0.0
    waiver_roles: tuple[str, ...] = ("ml_expert", "firmware_expert", "coordinator")
    waiver_days: float = 7.0
    glass_roles: tuple[str, ...] = ("trigger_oncall", "coordinator")
    glass_hours: float = 12.0
    review_roles: tuple[str, ...] = ("coordinator", "root")
    review_hours: float = 24.0

    @cached_property
    def id(self) -> str:
        """Digest of the rules; changes when any of them does."""
        return digest(self)

    @property
    def recheck(self) -> timedelta:
        """How long at most before the world is looked at again."""
        return timedelta(minutes=self.recheck_minutes)

    def backoff(self, failures: int) -> timedelta:
        """Return the wait after so many machinery failures: doubling, capped at 64 times the first."""
        return timedelta(minutes=self.backoff_minutes * 2.0 ** min(max(failures - 1, 0), 6))

    def frozen_by(self, now: datetime) -> FreezeWindow | None:
        """Return the calendar freeze that holds at this time, if any."""
        return next((window for window in self.freeze_windows if window.begin <= now < window.end), None)


def parse_policy(text: str) -> Policy:
    """Return the policy that this TOML text states.

    Raises:
        PolicyError: The text is no TOML, lacks a rule, has an unknown one, or states one that can never hold.
    """
    try:
        body = tomllib.loads(text)
        tiers = {name: build(Tier, tier) for name, tier in _table(body, "tiers").items()}
        windows = [build(FreezeWindow, _utc(window)) for window in body.pop("freeze_windows", [])]
        plain = build(Policy, {**body, "tiers": {}, "freeze_windows": []})
        policy = replace(plain, tiers=tiers, freeze_windows=tuple(windows))
        canonical(policy)
    except (tomllib.TOMLDecodeError, FactError, TypeError, AttributeError) as error:
        raise PolicyError(
            f"the policy cannot be read: {error}; compare it with the shipped daemon/policy.toml"
        ) from error
    if problems := _problems(policy):
        raise PolicyError("the policy contradicts itself: " + "; ".join(problems))
    return policy


def _table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = body.get(name)
    if not isinstance(table, dict):
        raise FactError(f"the table [{name}] is missing")
    return table


def _utc(window: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(window)
    for name in ("begin", "end"):
        if isinstance(at := out.get(name), datetime):
            if at.tzinfo is None:
                raise FactError(f"freeze window {name} {at} has no time zone; write 2026-07-01T00:00:00Z")
            out[name] = at.astimezone(UTC).isoformat()
    return out


def _problems(policy: Policy) -> list[str]:
    problems = []
    for name, tier in sorted(policy.tiers.items()):
        if not tier.roles:
            problems.append(f"tier {name} requires no role; an empty quorum never passes, name at least one")
        asked = (*tier.roles, *tier.confirm_roles)
        problems += [f"tier {name} requires the unknown role {role!r}" for role in asked if role not in ROLES]
        if tier.ttl_hours <= 0:
            problems.append(f"tier {name} expires after {tier.ttl_hours} h; it must be above 0")
    for name in ROLE_LISTS:
        problems += [f"{name} has the unknown role {role!r}" for role in getattr(policy, name) if role not in ROLES]
    for name in ("rejection_classes", "deploy_beam_modes", *ROLE_LISTS):
        if not getattr(policy, name):
            problems.append(f"{name} is empty")
    problems += [
        f"{name} is {getattr(policy, name)}; it must be above 0" for name in POSITIVE if getattr(policy, name) <= 0
    ]
    if not 0 <= policy.threshold_band < 1:
        problems.append(f"threshold_band is {policy.threshold_band}; it must be at least 0 and below 1")
    if any(getattr(policy, name) < 0 for name in NOT_NEGATIVE):
        problems.append(f"none of {', '.join(NOT_NEGATIVE)} can be negative")
    problems += [
        f"{name} is {getattr(policy, name)}; a share is at least 0 and below 1"
        for name in SHARES
        if not 0 <= getattr(policy, name) < 1
    ]
    problems += [
        f"gain_required has the unknown trigger {one!r}" for one in policy.gain_required if one not in TRIGGERS
    ]
    problems += [f"freeze window {w.reason!r} ends before it begins" for w in policy.freeze_windows if w.end <= w.begin]
    return problems
