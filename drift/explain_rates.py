"""Why an alarm was raised by inputs and seed rates together: `drift.explain` of the inputs, and the seeds beside them.

A seed that speaks has its pulls by lumisection, and its part of the evidence in words.  Pure, as that module is.
"""

from dataclasses import replace

import numpy as np

from drift.conditions.declared import Place
from drift.detect import Contributor
from drift.diagnose import Diagnosis
from drift.explain import MOST_CURVES, Curve, Explanation, Moment, Ranked, explain
from drift.memory import Memory, window_of
from drift.rate_evidence import SEED, RateEvidence
from drift.rate_rule import moved_words
from drift.reference import Reference

MOST_SEEDS = 4


def explained(
    reference: Reference,
    memory: Memory,
    rates: RateEvidence | None,
    found: Diagnosis,
    parts: tuple[Contributor, ...],
    inputs: tuple[Contributor, ...],
    onset: Place,
) -> Explanation | None:
    """Return what was seen; an alarm is told even where a picture of it cannot be made.

    Args:
        reference: What was expected of the inputs.
        memory: What a watch remembers of them.
        rates: The evidence of all seeds; None where none are watched.
        found: The verdict.
        parts: Parts of the whole sum, the strongest first.
        inputs: Those of the inputs, at least one.
        onset: Run and lumisection since which the cause is there.
    """
    seen = memory.seen
    moments = [Moment(s.clock, s.run, s.lumisection, s.fill, s.pileup, s.events, bool(s.broken)) for s in seen]
    try:
        told = explain(window_of(reference, memory), moments, inputs, found, reference)
        return told if rates is None else with_rates(told, rates, parts, onset)
    except (ArithmeticError, LookupError, ValueError):
        return None


def with_rates(
    told: Explanation, rates: RateEvidence, contributors: tuple[Contributor, ...], onset: Place
) -> Explanation:
    """Return an explanation with the seeds that speak in an alarm: curves behind or before those of the inputs.

    Args:
        told: What is said of the inputs.
        rates: The evidence of all seeds.
        contributors: Parts of the whole sum, the strongest first.
        onset: Run and lumisection since which the alarm's cause is there.
    """
    seeds = [one for one in contributors if one.kind == SEED]
    if not seeds:
        return told
    of_inputs = {one.part.name: one for one in told.contributors}
    merged = tuple(
        _ranked(rates, one, onset) if one.kind == SEED else replace(of_inputs[one.name], part=one)
        for one in contributors
        if one.kind == SEED or one.name in of_inputs
    )
    curves = tuple(_curve(rates, one, told.moments, onset) for one in seeds[:MOST_SEEDS])
    rest = told.curves[: MOST_CURVES - len(curves)]
    lead = contributors[0].kind == SEED
    return replace(told, contributors=merged, curves=(*curves, *rest) if lead else (*rest, *curves))


def _since(rates: RateEvidence, onset: Place) -> int:
    seen = rates.remembered
    return next((int(one) for one, place in zip(seen.clock, seen.places, strict=True) if place >= onset), rates.clock)


def _ranked(rates: RateEvidence, one: Contributor, onset: Place) -> Ranked:
    words = f"{one.name} {'up' if one.sign > 0 else 'down'}, {moved_words(rates, one.index, _since(rates, onset))}"
    return Ranked(one, words, rates.place_of(one.start))


def _curve(rates: RateEvidence, one: Contributor, moments: tuple[Moment, ...], onset: Place) -> Curve:
    """Return a seed's pulls at the remembered lumisections of the inputs; None where it was not counted."""
    seen, benign = rates.remembered, rates.reference.benign
    wander = float(benign.wander[one.index] + benign.offset[one.index])
    spread = float(np.sqrt(benign.noise[one.index] + wander))
    sigma = dict(zip(seen.places, seen.sigma[:, one.index].tolist(), strict=True))
    values = [sigma.get((m.run, m.lumisection), np.nan) for m in moments]
    pulls = tuple(None if np.isnan(value) else round(float(value) / spread, 2) for value in values)
    since = seen.sigma[[place >= onset for place in seen.places], one.index]
    since = since[~np.isnan(since)]
    mean = float(since.mean()) if since.size else 0.0
    score = mean / float(np.sqrt(benign.noise[one.index] / max(since.size, 1) + wander))
    return Curve(one.name, one.object, SEED, round(spread, 4), pulls, round(mean / spread, 2), round(score, 2))
