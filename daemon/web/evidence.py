"""The evidence of a bundle in the rows that an approver reads: physics, hardware, provenance.

Every figure comes from the bundle's own evidence files, which its digest covers.  A figure that is not there is left
out, never guessed.  Nothing here judges; the gates did.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.web.words import figure
from retrain.bundle import Bundle
from retrain.errors import BundleAlteredError

Row = tuple[str, str, str]
MOST_RANGES = 12
STEP = 5.0
"""Width of a step of pileup in the evidence."""


def evidence_of(bundle: Bundle, name: str) -> Mapping[str, Any]:
    """Return one piece of evidence; empty when the bundle has none of that name."""
    try:
        return bundle.evidence(name)
    except BundleAlteredError:
        return {}


def physics(bundle: Bundle) -> tuple[Row, ...]:
    """Return (what, candidate, champion on the same events)."""
    point = evidence_of(bundle, "working_point")
    against = point.get("against_champion") or {}
    old = against.get("champion") or {}
    if not point:
        return ()
    pure = [("Pure rate", _rate(point), "")] if point.get("rate") == "pure" else []
    rows = [
        *pure,
        ("Total rate", _rate(point["total"] if pure else point), _rate(old)),
        ("Aimed at", _khz(point.get("target_rate_hz")), ""),
        ("Threshold, integer", figure(point.get("threshold")), figure(against["threshold"]) if against else ""),
        (
            "Passing events",
            f"{figure(point.get('passing'))} of {figure(point.get('events'))}",
            f"{figure(old['passing'])} of {figure(old['events'])}" if old else "",
        ),
    ]
    if against:
        rows += [
            ("Events gained", figure(against.get("gained")), ""),
            ("Events lost", figure(against.get("lost")), ""),
            ("Overlap of the two", f"{100 * float(against.get('overlap', 0)):.1f} %", ""),
        ]
    rows += [_signal(one) for one in evidence_of(bundle, "comparison").get("signals") or ()]
    rows += [_gained(one) for one in evidence_of(bundle, "gain").get("measures") or () if one["name"] == "rate"]
    rows += [_fault(one) for one in evidence_of(bundle, "faults").get("faults") or ()]
    return tuple(rows)


SAID = {
    "less": ", SEEN LESS",
    "open": ", perhaps seen less",
    "faint": ", hardly seen",
    "unseen": ", not seen by the champion",
}


def _fault(one: Mapping[str, Any]) -> Row:
    """Return what a replayed fault does to the scores of both; a fault that is seen less says so in its name."""

    def told(found: Mapping[str, Any] | None) -> str:
        if not found:
            return ""
        area, low, high = (100 * float(found[name]) for name in ("area", "low", "high"))
        return f"{area:.2f} % ({low:.2f} to {high:.2f}), passing {100 * float(found['shift']):+.2f} %"

    name = f"Fault {one['name']}: scores above healthy ones{SAID.get(str(one.get('verdict')), '')}"
    return name, told(one["candidate"]), told(one.get("champion"))


def _gained(one: Mapping[str, Any]) -> Row:
    """Return how far both rates are from the target, at thresholds that other data gave."""
    name = f"Rate off its target, {figure(one['steps'])} blocks of new data"
    return name, f"{100 * float(one['candidate']):.1f} %", f"{100 * float(one['champion']):.1f} %"


def _signal(one: Mapping[str, Any]) -> Row:
    """Return the efficiency of a signal at one rate, of both where there is a champion."""

    def told(found: Mapping[str, Any] | None) -> str:
        if not found:
            return ""
        value, low, high = (100 * float(found[name]) for name in ("fraction", "low", "high"))
        return f"{value:.1f} % ({low:.1f} to {high:.1f})"

    return f"{one['name']} kept at one rate", told(one["candidate"]), told(one.get("champion"))


def strata(bundle: Bundle) -> tuple[Mapping[str, Any], ...]:
    """Return the rate in steps of pileup, known pileup only, lowest first."""
    found = evidence_of(bundle, "working_point").get("strata") or ()
    return tuple(one for one in found if one.get("pileup_from") is not None)


def champion_strata(bundle: Bundle) -> tuple[Mapping[str, Any] | None, ...]:
    """Return the champion's rate in the same steps, None where it has none; empty where nothing says it."""
    found = (evidence_of(bundle, "working_point").get("against_champion") or {}).get("strata") or ()
    at = {float(one["pileup_from"]): one for one in found if one.get("pileup_from") is not None}
    return tuple(at.get(float(one["pileup_from"])) for one in strata(bundle)) if at else ()


def rate_rows(bundle: Bundle) -> tuple[tuple[str, str, str, str], ...]:
    """Return (pileup, rate with its interval, passing of events, champion's rate), for those who read numbers."""
    old = champion_strata(bundle) or (None,) * len(strata(bundle))
    return tuple(
        (
            f"{figure(one['pileup_from'])} to {figure(float(one['pileup_from']) + STEP)}",
            _rate(one),
            f"{figure(one.get('passing'))} of {figure(one.get('events'))}",
            _rate(beside) if beside else "",
        )
        for one, beside in zip(strata(bundle), old, strict=True)
    )


def rate_plot(bundle: Bundle) -> dict[str, Any]:
    """Return the rate against pileup as `page.js` draws it, in kHz, with the champion's beside it.

    Bundles of before have only the champion's total, which is then a level.
    """
    known, point = strata(bundle), evidence_of(bundle, "working_point")
    old = (point.get("against_champion") or {}).get("champion") or {}
    beside = champion_strata(bundle)
    champion = None if beside or old.get("rate_hz") is None else float(old["rate_hz"]) / 1e3
    target = None if point.get("target_rate_hz") is None else float(point["target_rate_hz"]) / 1e3
    drawn = [("candidate", "--blue", -4 if beside else 0, _columns(known))]
    if beside:
        drawn.append(("runs now", "--warn", 4, _columns(beside)))
    columns = [one for *_, one in drawn]
    levels = [one for one in (*(low for each in columns for low in each["low"]), target, champion) if one]
    tops = [one for one in (*(high for each in columns for high in each["high"]), target, champion) if one]
    first = float(known[0]["pileup_from"])
    return {
        "pileup": [float(one["pileup_from"]) + STEP / 2 for one in known],
        "from": first,
        "to": float(known[-1]["pileup_from"]) + STEP,
        "step": STEP,
        "floor": 10.0 ** math.floor(math.log10(min(levels))),
        "ceiling": 10.0 ** math.ceil(math.log10(max(tops) * 1.001)),
        "target": target,
        "champion": champion,
        "lines": [{"name": name, "colour": colour, "aside": aside, **each} for name, colour, aside, each in drawn],
    }


def _columns(steps: Sequence[Mapping[str, Any] | None]) -> dict[str, list[float | None]]:
    return {
        name: [None if one is None else float(one[f"{name}_hz"]) / 1e3 for one in steps]
        for name in ("rate", "low", "high")
    }


def worst_stratum(bundle: Bundle) -> str:
    """Return the step of pileup in which the rate is highest, as a sentence; empty when there is none."""
    known = strata(bundle)
    if not known:
        return ""
    worst = max(known, key=lambda one: float(one["rate_hz"]))
    return f"Worst slice: pileup from {figure(worst['pileup_from'])} on, {_rate(worst)}."


def hardware(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Return (what, figure) of the bit-exact proof and of the estimated cost against its budget."""
    proof, cost = evidence_of(bundle, "proof"), evidence_of(bundle, "resources")
    rows: list[tuple[str, str]] = []
    if proof:
        rows.append(("Vectors compared", figure(proof.get("vectors"))))
        rows.append(("Mismatching vectors", figure(proof.get("mismatching_total"))))
        if classes := proof.get("classes"):
            rows.append(("Where they come from", figure(classes)))
        if engines := proof.get("engines"):
            rows.append(("Compared", figure(engines)))
    if cost:
        budget = bundle.contract.budget
        known = "ESTIMATE" if str(cost.get("status", "")).startswith("estimate") else "placed and routed"
        rows += [
            (f"{name.upper()}, {known}", f"{figure(cost.get(name))} of {figure(getattr(budget, name))}")
            for name in ("lut", "ff", "dsp")
        ]
        ticks = f"{figure(cost.get('latency_ticks'))} of {figure(budget.latency_ticks)} ticks of 25 ns"
        tries = evidence_of(bundle, "search").get("tries") or ()
        if len(tries) > 1:
            rows += [(f"Try {number}", _try(one)) for number, one in enumerate(tries, 1)]
        rows.append((f"Latency in simulation, clock {'not ' if known == 'ESTIMATE' else ''}proven", ticks))
    return tuple(rows)


def _try(one: Mapping[str, Any]) -> str:
    fits = "fits" if float(one["over"]) <= 1 else f"{float(one['over']):.2f} times too much"
    widths = "-".join(map(str, one["hidden"]))
    pruned = f", {float(one['sparsity']):.0%} pruned" if one["sparsity"] else ""
    made = f"{one['weight_bits']} bits{pruned}, {widths}, loss {float(one['loss']):.4g}"
    return f"{made}: {figure(one['lut'])} LUT, {figure(one['ff'])} FF, {one['ticks']} ticks, {fits}"


def provenance(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Return (what, figure) of the data, the seeds and the versions."""
    data, versions = evidence_of(bundle, "dataset"), evidence_of(bundle, "versions")
    rows: list[tuple[str, str]] = []
    for part, name in (("training", "Learned from"), ("held_out", "Measured on")):
        if one := data.get(part):
            rows.append((name, f"{_ranges(one.get('ranges') or ())}; {figure(one.get('events'))} events"))
    if data:
        certified = f"{figure(data.get('certified'))} of {figure(data.get('lumisections'))} lumisections"
        rows.append(("Certified", certified))
        if excluded := data.get("excluded"):
            rows.append(("Kept out", f"{figure(len(excluded))} lumisections, each with its reason"))
        rows.append(("Data digest", str(data.get("digest", ""))[:16]))
    rows.append(("Seed", figure(bundle.recipe.seed)))
    rows += [(name, str(value)) for name, value in sorted(versions.items())]
    return tuple(rows)


def _ranges(spans: Any) -> str:
    texts = [str(one) for one in spans]
    more = f" and {len(texts) - MOST_RANGES} more ranges" if len(texts) > MOST_RANGES else ""
    return ", ".join(texts[:MOST_RANGES]) + more


def _rate(value: Mapping[str, Any]) -> str:
    if not value or value.get("rate_hz") is None:
        return ""
    return f"{_khz(value['rate_hz'])} ({_khz(value.get('low_hz'))} to {_khz(value.get('high_hz'))})"


def _khz(value: Any) -> str:
    return "not known" if value is None else f"{float(value) / 1e3:.3g} kHz"
