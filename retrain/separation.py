"""How far a change of the events moves a model's scores: the area under the curve of the same events before and after.

One half is no effect, whatever the scores are; above it they rose, below they fell.  The two scores of one event belong
together, and most events hardly move, so that an interval that knows it is many times narrower than one that does not.
Pure; which change, and which model, is for `retrain.replays`.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats

from retrain.fixed_point import Integers


@dataclass(frozen=True)
class Area:
    """Area under the curve with its interval.

    Attributes:
        events: Pairs of scores.
        area: Probability that a changed event scores above an unchanged one; ties count half.
        low: Lower end of the interval, not below 0.
        high: Upper end, not above 1.
    """

    events: int
    area: float
    low: float
    high: float


def area(before: Integers, after: Integers, confidence: float) -> Area:
    """Return the Mann-Whitney area of the same events before and after, with its interval.

    Each event has a placement before (the share of changed scores above it) and one after (the share of unchanged ones
    below it).  The area is the mean of either; the variance is that of their sum over events, so that what the two
    scores of one event have in common drops out.  Normal, hence not for fewer than some hundred events; below two
    anything is possible.

    Args:
        before: Integer scores of unchanged events, shape ``(n_events,)``.
        after: Scores of the same events, changed, in the same order.
        confidence: Of the interval.

    References:
        E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837, doi:10.2307/2531595; for pairs
        N. Obuchowski, Biometrics 53 (1997) 567, doi:10.2307/2533958; by ranks X. Sun, W. Xu, IEEE Signal Process.
        Lett. 21 (2014) 1389, doi:10.1109/LSP.2014.2337313.
    """
    events = len(before)
    if events < 2:
        return Area(events, 0.5, 0.0, 1.0)
    ranks = stats.rankdata(np.concatenate([before, after]))
    above = 1.0 - (ranks[:events] - stats.rankdata(before)) / events
    below = (ranks[events:] - stats.rankdata(after)) / events
    value = float(below.mean())
    half = float(stats.norm.ppf(0.5 * (1.0 + confidence))) * sqrt(float(np.var(above + below, ddof=1)) / events)
    return Area(events, value, max(value - half, 0.0), min(value + half, 1.0))
