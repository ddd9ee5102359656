"""What starts anew where the standing changes from one lumisection to the next.

Evidence that was gathered against one expectation says nothing against another.  Between two strata the expectation is
of one fit, so what was gathered stays, but a fill's offset may step by what their constants leave open.  Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.detect import Evidence
from drift.reference import Reference
from drift.slow import SlowEvidence
from drift.standing import Standing
from drift.strata import lasting
from drift.views import about


@dataclass(frozen=True, eq=False)
class Boundary:
    """What happens between two lumisections.

    Attributes:
        streams: Streams that start anew, shape ``(n_streams,)``.
        cells: Whether the cells of each map start anew.
        apart: Variance by which offsets may step, per unit variance of fill offsets.
        ageing: Whether means of fills are compared with another expectation from here on, so that ageing starts anew.
    """

    streams: NDArray[np.bool_]
    cells: tuple[bool, ...]
    apart: float
    ageing: bool


def boundary(reference: Reference, before: Standing, after: Standing) -> Boundary | None:
    """Return what starts anew between two standings; None when they are one."""
    if before == after:
        return None
    objects = ({*before.muted} ^ {*after.muted}) | ({*before.smooth} ^ {*after.smooth})
    objects |= {region.object for region in {*before.masked} ^ {*after.masked}}
    own = {*before.rebaselined} ^ {*after.rebaselined}
    objects |= {kind for one in reference.rebaselined if one.id in own for kind in one.objects}
    apart = 0.0
    if before.stratum and after.stratum and before.stratum != after.stratum:
        rows = (reference.strata.place(one.stratum) for one in (before, after))
        apart = reference.benign.swell.apart(*rows)
    cells = tuple(one.object in objects for one in reference.cells)
    ageing = bool(objects) or lasting(before.stratum) != lasting(after.stratum)
    return Boundary(about(reference.streams.labels, objects), cells, apart, ageing)


def cross(
    reference: Reference, evidence: Evidence, slow: SlowEvidence, standings: tuple[Standing, Standing], pileup: float
) -> None:
    """Let start anew what starts anew between two standings.

    Args:
        reference: In force.
        evidence: Of lumisections.
        slow: Of fills.
        standings: The one before and the one from here on.
        pileup: Of the first lumisection from here on.
    """
    moved = boundary(reference, *standings)
    if moved is None:
        return
    view = reference.under(standings[1])
    evidence.drop(moved.streams, view.benign, pileup)
    for one, drop in zip(evidence.cells, moved.cells, strict=True):
        one[:] = 0.0 if drop else one
    evidence.filter.loosen(moved.apart * view.benign.offset)
    if moved.ageing:
        slow.forget(view)
