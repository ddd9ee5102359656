"""Whether a real shift is worth a retrain now: what the daemon measured, put to `lifecycle.worth`.

The trigger has no labels, so what is measured is the rate: how often the champion, cut where it runs, passes certified
events since the onset, against what its own evidence promised at the same pileup.  A rate beyond its promise takes
bandwidth from others, one below it loses events of its own; either is a loss, in Hz.  Lost efficiency at a rate that is
kept is not seen here: samples of signal show it when a candidate is judged.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.config import Settings
from daemon.ledger import Ledger, Outcome
from daemon.lifecycle import facts as f
from daemon.lifecycle.worth import Interval, Prospect, Worth, worth
from daemon.training_settings import WorthSettings, over
from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.dataset import read_features
from retrain.working_point import STRATUM_WIDTH, share

REMEMBERED = 10
"""Candidates whose way to the board says how long the next one may take."""


def judge(
    settings: Settings, ledger: Ledger, champion: Champion | None, lessons: Sequence[Outcome], now: datetime
) -> Worth:
    """Return whether to retrain for a shift; once ``worth.until`` is over costs decide nothing, and the reason says so.

    Args:
        settings: With costs in ``[worth]``.
        ledger: Says how long earlier candidates took.
        champion: What runs; only a bundle has evidence of what it promised.
        lessons: Certified lumisections since the onset.
        now: UTC.

    Raises:
        DatasetError: A file of the event store is missing or altered.
        WorthError: What is configured, or was measured, is no interval.
    """
    asked = settings.worth
    assert asked.cost is not None
    assert asked.until is not None
    nothing = Interval(0.0, 0.0)
    for past in over(asked, now):  # nobody says until when a model would serve: retrain as without costs
        return Worth("act", past, nothing)
    if not isinstance(champion, Bundle):
        why = "what runs now is no bundle, so nothing says which rate it promised; the loss is not known"
        return Worth("wait", why, nothing, asked.look_again_hours)
    loss = loss_per_hour(champion, lessons[-asked.lumisections :])
    if loss is None:
        why = "the champion was measured at no pileup of these lumisections; the loss is not known"
        return Worth("wait", why, nothing, asked.look_again_hours)
    first, last = (max((one - now).total_seconds() / 3600.0, 0.0) for one in asked.until)
    prospect = Prospect(
        loss_per_hour=Interval(loss.low * asked.price_per_hz_hour, loss.high * asked.price_per_hz_hour),
        threshold_share=Interval(*asked.threshold_share),
        model_share=Interval(*asked.model_share),
        hours_to_model=hours_to_model(ledger, settings.stream.slot, asked),
        hours_of_use=Interval(first, last),
        cost=Interval(*asked.cost),
    )
    return worth(prospect, asked.look_again_hours)


def loss_per_hour(champion: Bundle, lessons: Sequence[Outcome]) -> Interval | None:
    """Return by how many Hz the champion's rate is off what it promised at that pileup; None when nothing tells.

    The low end is 0 while both intervals overlap: then it is not known that anything is lost.

    Args:
        champion: Its evidence has pass fractions by stratum of pileup.
        lessons: Lumisections with events; those at a pileup at which it was not measured do not count.
    """
    point = champion.evidence("working_point")
    promised: dict[float, Mapping[str, Any]] = {float(one["pileup_from"]): one for one in point["strata"]}
    events = passing = 0
    low = high = 0.0
    for one in lessons:
        stratum = None if one.pileup is None else promised.get(one.pileup // STRATUM_WIDTH * STRATUM_WIDTH)
        if stratum is None or not one.events_path:
            continue
        place = f"{one.run}:{one.lumisection} ({one.events_path})"
        features = read_features(place, Path(one.events_path), one.events_sha256, len(champion.contract.inputs))
        count = features.shape[1]
        passing += int((champion.program.run(champion.contract, features) >= champion.threshold).sum())
        events += count
        low += count * float(stratum["low"])
        high += count * float(stratum["high"])
    if not events:
        return None
    seen = share(passing, events, float(point["confidence"]))
    hertz = float(point["bunches"]) * float(point["revolution_hz"])
    low, high = low / events, high / events
    least = max(seen.low - high, low - seen.high, 0.0)
    most = max(seen.high - low, high - seen.low)
    return Interval(least * hertz, most * hertz)


def hours_to_model(ledger: Ledger, slot: str, asked: WorthSettings) -> Interval:
    """Return how long it takes until a new model runs: as the last ones took, else as configured."""
    hours = []
    for subject in ledger.subjects("candidate_requested"):
        facts = [one.fact for one in ledger.facts(subject=subject)]
        began = next((one for one in facts if isinstance(one, f.CandidateRequested)), None)
        ended = next((one for one in facts if isinstance(one, f.Deployed)), None)
        if began is None or ended is None or began.slot != slot or began.recipe.get("action") == "threshold":
            continue
        hours.append((ended.at - began.at).total_seconds() / 3600.0)
    last = hours[-REMEMBERED:]
    return Interval(min(last), max(last)) if last else Interval(*asked.hours_to_model)
