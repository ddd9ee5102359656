"""What the reference in force sees at the least: recorded events near one pileup, replayed through faults."""

from pathlib import Path

import numpy as np

from daemon import scan
from daemon.config import Settings
from daemon.errors import SetupError
from drift.events import LumisectionEvents
from drift.plug_ins import installed
from drift.reference import Reference
from drift.sensitivity import Sensitivity, sensitivities
from drift.standing import Standing

NEAR = 3.0
"""Pileup to either side of the asked one that still counts as it."""
ENOUGH_EVENTS = 20_000


def sense(
    paths: list[Path],
    settings: Settings,
    reference_path: Path,
    *,
    conditions: Path | None,
    pileup: float | None,
    seed: int,
) -> tuple[float, int, tuple[Sensitivity, ...]]:
    """Return the pileup and number of events that faults were replayed at, and the least visible size of each.

    Args:
        paths: Run files, or folders of them.
        settings: Configuration.
        reference_path: The reference in force.
        conditions: Conditions folder, when it is not the configured one.
        pileup: At which pileup; None for the middle of the reference.
        seed: Decides which events a partial fault hits.

    Raises:
        SetupError: No certified lumisection lies near that pileup, or a file cannot be read.
        ReferenceUnfitError: Too few events, or a pileup outside the reference.
    """
    reference = Reference.load(reference_path)
    asked = (reference.pileup_low + reference.pileup_high) / 2 if pileup is None else pileup
    if not reference.pileup_low <= asked <= reference.pileup_high:
        raise SetupError(
            f"pileup {asked:g} is outside the reference's {reference.pileup_low:.1f} to {reference.pileup_high:.1f}; "
            "name one inside with --pileup"
        )
    table = scan.conditions_for(settings, conditions)
    by_standing: dict[Standing, list[tuple[LumisectionEvents, float]]] = {}
    for events, at in scan.each_lumisection(paths, settings, table):
        near = at.pileup is not None and abs(at.pileup - asked) <= NEAR
        if not (near and at.usable and at.certified) or reference.strata.lacks(at):
            continue
        found = by_standing.setdefault(reference.standing(at), [])
        if sum(one.events for one, _ in found) < ENOUGH_EVENTS:
            found.append((events, at.pileup or 0.0))
    if not by_standing:
        raise SetupError(
            f"no certified lumisection within {NEAR:g} of pileup {asked:.1f} in these files; name another with --pileup"
        )
    standing, chosen = max(by_standing.items(), key=lambda one: sum(events.events for events, _ in one[1]))
    mean = float(np.mean([pileup for _, pileup in chosen]))
    least = sensitivities(
        reference.under(standing),
        [events for events, _ in chosen],
        mean,
        false_alarms_per_lumisection=settings.drift.false_alarms_per_lumisection,
        rng=np.random.default_rng(seed),
        modes=installed().modes,
    )
    return mean, sum(events.events for events, _ in chosen), least
