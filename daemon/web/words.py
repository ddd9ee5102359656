"""How numbers, times and states are said on the page.  Words for people; nothing here reads or decides anything."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon.lifecycle import Phase

PHASES: dict[str, str] = {
    Phase.BUILDING: "is being trained",
    Phase.FAILED: "failed: the machinery, not the model",
    Phase.VERIFYING: "is being checked",
    Phase.AUTO_REJECTED: "was refused by a gate",
    Phase.NEEDS_EXPERT: "needs an expert: a gate was inconclusive",
    Phase.READY: "passed its gates",
    Phase.PENDING_APPROVAL: "waits for people",
    Phase.APPROVED: "is approved and waits for a gap between fills",
    Phase.ARMED: "is armed: checked again, window open",
    Phase.DEPLOYING: "is being written to the board",
    Phase.SHADOW: "is on the board and does not trigger yet: it is compared with its emulator",
    Phase.LIVE_PROBATION: "runs on probation: its rate and its bits are watched",
    Phase.LIVE: "runs",
    Phase.SUPERSEDED: "was replaced by a newer one",
    Phase.REJECTED: "was rejected by a person",
    Phase.EXPIRED: "expired: nobody said yes in time",
    Phase.STALE: "is stale: something it rests on changed",
    Phase.REVOKED: "was revoked by an approver",
    Phase.ROLLED_BACK: "was rolled back",
}
ROLES: dict[str, str] = {
    "ml_expert": "ML expert",
    "trigger_oncall": "trigger on-call",
    "firmware_expert": "firmware expert",
    "coordinator": "coordinator",
    "root": "root",
    "viewer": "viewer",
}
ALARMS: dict[str, str] = {
    "broken_detector": "broken detector, do not retrain",
    "real_shift": "real shift, adapt to it",
    "transient": "transient, nothing to do",
    "out_of_support": "conditions that the reference never saw",
    "data_gap": "data are missing",
    "contract": "data do not fit the firmware contract",
    "expected_change": "expected change, re-baseline its interval",
}
CAUSES: dict[str, str] = {"ageing_or_calibration": "ageing or calibration", "new_conditions": "new conditions"}
"""Of a real shift; the cause of any other verdict is the verdict."""
LIKELY = 0.01
"""Probability from which a failure mode is worth the reader's time."""
RUNGS: dict[str, str] = {
    "nothing": "do nothing",
    "mask_or_call": "mask, or call the expert",
    "prescale_column": "prescale column",
    "threshold": "threshold",
    "weights": "weights",
    "architecture": "architecture",
}
TIERS: dict[str, str] = {
    "T0": "a threshold inside its agreed band",
    "T1": "new weights, same architecture and bit widths",
    "T2": "another architecture, bit widths or toolchain",
    "T3": "rules, gates, keys or reference data",
}
TRIGGERS: dict[str, str] = {
    "drift": "drift",
    "cron": "the schedule",
    "manual": "a person",
    "fill": "the end of a fill",
    "online": "the online learner",
}


def listed(parts: Iterable[str], last: str = "and") -> str:
    """Return the parts as a person would list them: ``a``, ``a and b``, ``a, b and c``."""
    words = list(parts)
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def short(digest: str) -> str:
    """Return the first twelve letters of a digest; enough to tell two apart by eye."""
    return digest[:12] if digest else "nothing"


def moment(at: datetime) -> str:
    """Return a time as ``23 Nov 2026 14:05 UTC``."""
    return f"{at.day} {at:%b %Y %H:%M} UTC"


def moment_of(one: Mapping[str, Any]) -> str:
    """Return a lumisection as ``run:lumisection``."""
    return f"{one['run']}:{one['lumisection']}"


def span(seconds: float) -> str:
    """Return a duration in the one or two units a person would say."""
    whole = round(abs(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
    return f"{round(hours / 24)} days"


def ago(at: datetime, now: datetime) -> str:
    """Return how long before or after `now` a time is: ``12 min ago``, ``in 3 h``."""
    seconds = (now - at).total_seconds()
    return f"in {span(seconds)}" if seconds < -1 else f"{span(seconds)} ago"


def sentence(text: str) -> str:
    """Return a text with a capital first letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) or not text else ".")


def likenesses(alarm: Mapping[str, Any]) -> list[str]:
    """Return the likely failure modes behind an alarm, a sentence each; none when no library was asked."""
    return [
        f"{one['words']}, size {figure(one['size'])}, probability {100 * float(one['probability']):.0f} %"
        for place, one in enumerate(alarm.get("modes") or ())
        if place == 0 or float(one["probability"]) >= LIKELY
    ]


def plain_name(name: str) -> str:
    """Return a snake-case name as words."""
    return name.replace("_", " ")


def figure(value: object) -> str:
    """Return a JSON value as a person would write it: digits grouped, floats to four figures, lists short."""
    text = str(value)
    match value:
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}".replace(",", "\u202f")
        case float():
            text = f"{value:.4g}"
        case None:
            text = "not known"
        case list() | tuple():
            texts = [figure(one) for one in value]
            text = ", ".join(texts[:12]) + (f" and {len(texts) - 12} more" if len(texts) > 12 else "")
        case dict():
            text = "; ".join(f"{plain_name(str(key))} {figure(one)}" for key, one in list(value.items())[:12])
    return text
