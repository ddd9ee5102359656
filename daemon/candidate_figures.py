"""What the newest candidate shows beside the champion, read from its bundle's evidence, for metrics.

A bundle never changes once it is sealed, so it is read once.  Evidence that is missing or damaged gives no figure here;
the gates and the page say why.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

Numbers = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Numbers of one bundle.

    Attributes:
        vectors: Test vectors compared, and those on which two forms disagree; None when it cannot be read.
        threshold: Integer score at which it fires; None when unknown.
        target_hz: Rate it was made for.
        rates: Rate on held-out events in Hz with its interval, by ``candidate`` and ``champion``: value, low, high.
        pure: Whether those are pure rates: what the rest of the menu would not take anyway.
        events: Held-out events by how both decide: ``both``, ``gained``, ``lost``.
        resources: Estimated use by kind: ``lut``, ``ff``, ``dsp``, ``latency_ticks``.
        signals: Efficiency by signal and ``candidate`` or ``champion``.
    """

    vectors: tuple[int, int] | None = None
    threshold: int | None = None
    target_hz: float | None = None
    rates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    pure: bool = False
    events: Numbers = field(default_factory=dict)
    resources: Numbers = field(default_factory=dict)
    signals: Mapping[tuple[str, str], float] = field(default_factory=dict)


def evidence_of(bundle: Path) -> Evidence:
    """Return the numbers of a bundle; empty ones while it is not there."""
    return _read(bundle) if (bundle / "evidence").is_dir() else Evidence()


@lru_cache(maxsize=32)
def _read(bundle: Path) -> Evidence:
    proof, point = _json(bundle, "proof"), _json(bundle, "working_point")
    rates = {}
    if trio := _rate(point):
        rates["candidate"] = trio
    against = point.get("against_champion") or {}
    if trio := _rate(against.get("champion") or {}):
        rates["champion"] = trio
    resources = _json(bundle, "resources")
    return Evidence(
        vectors=_pair(proof),
        threshold=_int(point.get("threshold")),
        target_hz=_float(point.get("target_rate_hz")),
        rates=rates,
        pure=point.get("rate") == "pure",
        events={word: float(against[word]) for word in ("both", "gained", "lost") if word in against},
        resources={
            word: float(resources[word])
            for word in ("lut", "ff", "dsp", "latency_ticks")
            if isinstance(resources.get(word), int | float)
        },
        signals=_signals(_json(bundle, "comparison")),
    )


def _json(bundle: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((bundle / "evidence" / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _pair(proof: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        return int(proof["vectors"]), int(proof["mismatching_total"])
    except (KeyError, TypeError, ValueError):
        return None


def _rate(one: Mapping[str, Any]) -> tuple[float, float, float] | None:
    rate, low, high = (_float(one.get(word)) for word in ("rate_hz", "low_hz", "high_hz"))
    return None if rate is None or low is None or high is None else (rate, low, high)


def _signals(comparison: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for one in comparison.get("signals") or ():
        for whose in ("candidate", "champion"):
            share = one.get(whose)
            value = _float(share.get("fraction") if isinstance(share, dict) else share)
            if value is not None and isinstance(one.get("name"), str):
                found[one["name"], whose] = value
    return found


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
