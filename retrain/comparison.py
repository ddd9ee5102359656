"""Whether a candidate keeps what its champion keeps, told from the same events.

Two models on one set of events differ by what one gains and the other loses; only those events say anything.  The
answer is better, not worse by more than a margin, worse, or inconclusive.  Nothing here knows a disk or a network.
"""

from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrain.contract import Contract, Features
from retrain.working_point import STRATUM_WIDTH, clopper_pearson, share

Mask = NDArray[np.bool_]
LISTED = 200
"""Most events that are listed as lost, and as gained, of one sample."""
ETA_EDGES = (-6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0)
PHI_SLICES = 6
_ETA_LSB = {"Mu": 0.010875}
_CALO_ETA_LSB = 0.0435


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided p-value that losing and gaining are equally likely.

    References:
        Q. McNemar, Psychometrika 12 (1947) 153, doi:10.1007/BF02295996.
    """
    return min(1.0, 2.0 * float(stats.binom.cdf(min(lost, gained), lost + gained, 0.5)))


def paired_difference(lost: int, gained: int, events: int, confidence: float) -> tuple[float, float]:
    """Return an interval for the difference of two efficiencies on the same events; it covers at least ``confidence``.

    The share of events on which the two differ and the share of those that are gains get Clopper-Pearson intervals,
    each with half of the error; their product is taken at its extremes.
    """
    each = 0.5 * (1.0 + confidence)
    differing = lost + gained
    shares = clopper_pearson(differing, events, each) if events else (0.0, 1.0)
    gains = clopper_pearson(gained, differing, each) if differing else (0.0, 1.0)
    ends = [one * (2.0 * two - 1.0) for one, two in product(shares, gains)]
    return min(ends), max(ends)


def compare(candidate: Mask, champion: Mask, *, confidence: float, margin: float) -> dict[str, Any]:
    """Return both efficiencies with intervals, overlap, what is lost and gained, and the verdict, as JSON values.

    Args:
        candidate: Which events the candidate passes, shape ``(n_events,)``.
        champion: Which the champion passes, on the same events at the same rate.
        confidence: Of every interval; raise it when several such verdicts are asked for at once.
        margin: Share of the champion's efficiency that may be lost without being called worse.
    """
    events = len(candidate)
    lost, gained = int((champion & ~candidate).sum()), int((candidate & ~champion).sum())
    both, either = int((candidate & champion).sum()), int((candidate | champion).sum())
    new, old = share(both + gained, events, confidence), share(both + lost, events, confidence)
    low, high = paired_difference(lost, gained, events, confidence)
    return {
        "events": events,
        "candidate": asdict(new),
        "champion": asdict(old),
        "both": both,
        "lost": lost,
        "gained": gained,
        "overlap": both / either if either else 1.0,
        "mcnemar_p": mcnemar(lost, gained),
        "difference": new.fraction - old.fraction,
        "difference_low": low,
        "difference_high": high,
        "verdict": _verdict(low, high, margin * old.low, margin * old.high),
    }


def _verdict(low: float, high: float, surely_allowed: float, perhaps_allowed: float) -> str:
    """Say what an interval of the difference means; the margin is of an efficiency only known so well itself."""
    if low > 0.0:
        return "better"
    if low > -surely_allowed:
        return "not_worse"
    return "worse" if high < -perhaps_allowed else "inconclusive"


def by_pileup(
    candidate: Mask, champion: Mask | None, pileup: NDArray[np.float64], *, confidence: float, margin: float
) -> list[dict[str, Any]]:
    """Return one comparison, or share, in each five units of pileup; unknown pileup last, under None."""
    lower = np.floor(pileup / STRATUM_WIDTH) * STRATUM_WIDTH
    out: list[dict[str, Any]] = []
    for edge in [*np.unique(lower[~np.isnan(lower)]).tolist(), None]:
        inside = np.isnan(lower) if edge is None else lower == edge
        if inside.any():
            out.append({"pileup_from": edge, **_either(candidate, champion, inside, confidence, margin)})
    return out


def by_place(
    contract: Contract, features: Features, candidate: Mask, champion: Mask | None, *, confidence: float, margin: float
) -> list[dict[str, Any]]:
    """Return one comparison in each slice of eta and phi of the leading object, the one that loses most first.

    Slices are for looking where something is lost; no gate rests on them.  Events without an object, and contracts
    whose objects have no place, are left out.
    """
    eta, phi = leading_place(contract, features)
    out: list[dict[str, Any]] = []
    sectors = np.floor(phi * PHI_SLICES).astype(np.int64)
    for (below, above), sector in product(pairwise(ETA_EDGES), range(PHI_SLICES)):
        inside = (eta >= below) & (eta < above) & (sectors == sector)
        if inside.any():
            turn = [sector / PHI_SLICES, (sector + 1) / PHI_SLICES]
            told = _either(candidate, champion, inside, confidence, margin)
            out.append({"eta": [below, above], "turn": turn, **told})
    return sorted(out, key=lambda row: (row.get("gained", 0) - row.get("lost", 0), row["eta"], row["turn"]))


def leading_place(contract: Contract, features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pseudorapidity and azimuth (in turns, below one) of each event's object of highest momentum.

    Missing momentum has no pseudorapidity and is no object here.  Without an object both are NaN and -1.

    Args:
        contract: Names the inputs.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
    """
    rows = {port.name: row for row, port in enumerate(contract.inputs)}
    best = np.zeros(features.shape[1], np.int64)
    eta, phi = np.full(features.shape[1], np.nan), np.full(features.shape[1], -1.0)
    for name, row in rows.items():
        stem, _, quantity = name.rpartition("_")
        places = rows.get(f"{stem}_eta"), rows.get(f"{stem}_phi")
        kind = contract.inputs[row].object
        if quantity != "pt" or kind == "MET" or places[0] is None or places[1] is None:
            continue
        higher = features[row] > best
        best = np.where(higher, features[row], best)
        eta = np.where(higher, features[places[0]] * _ETA_LSB.get(kind, _CALO_ETA_LSB), eta)
        phi = np.where(higher, features[places[1]] / (contract.inputs[places[1]].high + 1.0), phi)
    return eta, phi


def listed(candidate: Mask, champion: Mask, scores: NDArray[np.int64], name_of: Callable[[int], Any]) -> dict[str, Any]:
    """Return the events that are lost and gained by name, up to `LISTED` of each, highest score of either first.

    Args:
        candidate: Which events the candidate passes.
        champion: Which the champion passes.
        scores: By which they are ordered: the candidate's integer scores.
        name_of: What a person finds the event at a place by.
    """
    out: dict[str, Any] = {}
    for word, mask in (("lost", champion & ~candidate), ("gained", candidate & ~champion)):
        places = np.flatnonzero(mask)
        chosen = places[np.argsort(-scores[places], kind="stable")][:LISTED]
        out[word] = {"events": int(mask.sum()), "listed": [name_of(int(place)) for place in chosen]}
    return out


def _either(candidate: Mask, champion: Mask | None, inside: Mask, confidence: float, margin: float) -> dict[str, Any]:
    if champion is not None:
        return compare(candidate[inside], champion[inside], confidence=confidence, margin=margin)
    events = int(inside.sum())
    return {"events": events, "candidate": asdict(share(int(candidate[inside].sum()), events, confidence))}
