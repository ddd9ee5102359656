"""Whether a retrain is worth its cost: what is lost until a better model runs, against what making one costs.

An alarm says that something moved, not that moving the model pays.  Everything that enters has an interval, and the
answer is sure only when the intervals do not overlap: then act, or do nothing; between, wait and look again.  What was
lost already is not counted, since no model brings it back.  Nothing here knows how a loss is measured.

References:
    A. Mahadevan, M. Mathioudakis, arXiv:2310.04216 (staleness against the cost of a retrain);
    F. Regol et al., ICML 2025, arXiv:2505.14903 (when to retrain, under uncertainty).
"""

from dataclasses import dataclass
from typing import Literal

from daemon.errors import RetriggerError


class WorthError(RetriggerError, ValueError):
    """An interval is none, or a share is not between 0 and 1."""


@dataclass(frozen=True)
class Interval:
    """What a number is believed to be.

    Attributes:
        low: It is surely not below.
        high: It is surely not above.

    Raises:
        WorthError: The ends are not numbers in order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise WorthError(f"interval {self.low} to {self.high}: expected two numbers in ascending order")

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class Prospect:
    """What is known when the question is asked.  Losses and costs are in one unit of the experiment's choice.

    Attributes:
        loss_per_hour: Lost in each hour of running with the model and threshold as they are; its low end is 0 or below
            while the data allow that nothing is lost.
        threshold_share: Share of that loss that a new threshold alone would save, 0 to 1.
        model_share: Share of what is then left that a new model would save, 0 to 1, as earlier candidates or a
            benchmark showed it.
        hours_to_model: Until it would run: training, firmware, gates, approval, the next time without beam.
        hours_of_use: From now until the model would be replaced anyway: a planned change, the end of the year.
        cost: Of one retrain: computing, people, and the risk of the change.

    Raises:
        WorthError: A share is outside 0 to 1, or a time or cost below 0.
    """

    loss_per_hour: Interval
    threshold_share: Interval
    model_share: Interval
    hours_to_model: Interval
    hours_of_use: Interval
    cost: Interval

    def __post_init__(self) -> None:
        for name in ("threshold_share", "model_share"):
            share: Interval = getattr(self, name)
            if share.low < 0.0 or share.high > 1.0:
                raise WorthError(f"{name} is {share}; expected shares between 0 and 1")
        for name in ("hours_to_model", "hours_of_use", "cost"):
            value: Interval = getattr(self, name)
            if value.low < 0.0:
                raise WorthError(f"{name} is {value}; expected nothing below 0")

    @property
    def benefit(self) -> Interval:
        """What a retrain saves over moving the threshold: loss left, times the model's share, times hours of use."""
        few = max(self.hours_of_use.low - self.hours_to_model.high, 0.0)
        many = max(self.hours_of_use.high - self.hours_to_model.low, 0.0)
        least = max(self.loss_per_hour.low, 0.0) * (1.0 - self.threshold_share.high) * self.model_share.low * few
        most = max(self.loss_per_hour.high, 0.0) * (1.0 - self.threshold_share.low) * self.model_share.high * many
        return Interval(least, most)


@dataclass(frozen=True)
class Worth:
    """The answer.

    Attributes:
        answer: ``act``, ``wait`` or ``nothing``.
        reason: Why, in one sentence with the numbers.
        benefit: What a retrain would save.
        look_again_hours: When waiting, the time after which to ask anew; None otherwise.  The hours of use run out
            meanwhile, so every wait ends.
    """

    answer: Literal["act", "wait", "nothing"]
    reason: str
    benefit: Interval
    look_again_hours: float | None = None


def worth(prospect: Prospect, look_again_hours: float = 1.0) -> Worth:
    """Return whether to retrain now.

    Args:
        prospect: What is known now.
        look_again_hours: Longest time to wait before asking anew, above 0.

    Raises:
        WorthError: ``look_again_hours`` is not above 0.
    """
    if look_again_hours <= 0.0:
        raise WorthError(f"look_again_hours is {look_again_hours}; expected more than 0")
    benefit, cost = prospect.benefit, prospect.cost
    if prospect.hours_of_use.high <= prospect.hours_to_model.low:
        late = f"a new model would run after {prospect.hours_to_model} hours and be replaced after"
        return Worth("nothing", f"{late} {prospect.hours_of_use}", benefit)
    if benefit.high <= cost.low:
        cheaper = " beyond what a new threshold saves" if prospect.threshold_share.high > 0.0 else ""
        return Worth("nothing", f"a retrain saves {benefit}{cheaper} and costs {cost}", benefit)
    if benefit.low > cost.high:
        return Worth("act", f"a retrain saves {benefit} and costs {cost}", benefit)
    if prospect.loss_per_hour.low <= 0.0:
        why = f"it is not known that anything is lost ({prospect.loss_per_hour} an hour)"
    else:
        why = f"a retrain saves {benefit} and costs {cost}; the intervals overlap"
    return Worth("wait", why, benefit, min(look_again_hours, prospect.hours_of_use.high))
