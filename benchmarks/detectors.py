"""Every detector of the comparison on stored streams: what it says of each lumisection, and when it alarms.

Memoryless peers give scores, so one pass serves any threshold.  River's detectors have parameters instead of a score,
so they are run anew with each.  retrigger runs at its own limit; its evidence is kept too, to hold it to the rule the
peers are held to.  Nothing here knows which lumisections are faulty.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.drift import KSWIN

from benchmarks.drift_store import Kept, read
from benchmarks.peers_fair import (
    Always,
    BetaBinomial,
    KolmogorovSmirnov,
    Never,
    Peer,
    Random,
    RandomFeatureMmd,
    Shewhart,
)
from drift.alternatives import CLIP, RiverDetector
from drift.reference import Reference
from drift.support import unfit
from drift.watch import Watch

Floats = NDArray[np.float64]

BUDGET = 9e-6
OURS = "retrigger"
SCORED: dict[str, Callable[[Reference, Iterable[Kept]], Peer]] = {
    "Shewhart, our streams": lambda reference, _: Shewhart(reference),
    "KS": lambda reference, certified: KolmogorovSmirnov(reference, certified, pileup=False),
    "KS at pileup": lambda reference, certified: KolmogorovSmirnov(reference, certified, pileup=True),
    "MMD": lambda reference, certified: RandomFeatureMmd(reference, certified, pileup=False),
    "MMD at pileup": lambda reference, certified: RandomFeatureMmd(reference, certified, pileup=True),
    "beta-binomial pull at pileup": BetaBinomial,
    "beta-binomial χ² at pileup": lambda reference, certified: BetaBinomial(reference, certified, chi2=True),
    "always": lambda reference, _: Always(reference),
    "never": lambda reference, _: Never(reference),
}
RANDOM = "random"
RIVER = {"ADWIN": "adwin", "Page-Hinkley": "page_hinkley", "KSWIN": "kswin"}
RIVER_DEFAULTS: dict[str, dict[str, float]] = {
    "ADWIN": {"delta": 0.002, "clock": 32},
    "Page-Hinkley": {"threshold": 50.0, "delta": 0.005, "min_instances": 30, "alpha": 0.9999},
    "KSWIN": {"alpha": 0.005, "window_size": 100, "stat_size": 30},
}
"""What river's classes take when nothing is said."""
TURNED = {"ADWIN": "delta", "Page-Hinkley": "threshold", "KSWIN": "alpha"}
"""The parameter that is turned to match a false-alarm rate."""
DUMMIES = ("always", "never", RANDOM)
DETECTORS = (OURS, f"{OURS}, peers' rule", *(name for name in SCORED if name not in DUMMIES), *RIVER, *DUMMIES)


def certified_of(reference: Reference, path: Path) -> Iterator[Kept]:
    """Yield the lumisections of a stored stream that a peer may learn from: those the reference learnt from."""
    for one in read(path):
        if one.conditions.certified and unfit(reference, one.summary, one.conditions) is None:
            yield one


def fitted(reference: Reference, path: Path, name: str) -> Peer:
    """Return one peer, taught with the reference's own stream."""
    return SCORED[name](reference, certified_of(reference, path))


def default_thresholds(reference: Reference, taught: Mapping[str, Floats]) -> dict[str, float]:
    """Return the thresholds a user would begin with.

    Three standard deviations; p = 0.05 over the number of histograms; AutoDQM's cuts of 10 on pull and χ²; for MMD, the
    95 % quantile of the reference's own lumisections, which is what exchanging labels would give.

    Args:
        reference: Of the peers.
        taught: Scores of MMD peers on lumisections of the reference, by name.
    """
    bonferroni = -np.log10(0.05 / len(np.unique(reference.streams.owner)))
    set_by_hand = {
        "Shewhart, our streams": 3.0, "KS": bonferroni, "KS at pileup": bonferroni,
        "beta-binomial pull at pileup": 10.0, "beta-binomial χ² at pileup": 10.0,
    }  # fmt: skip
    return {**set_by_hand, **{name: float(np.quantile(scores, 0.95)) for name, scores in taught.items()}}


@dataclass(frozen=True, eq=False)
class Trace:
    """What was said of each lumisection of a stream, in order of arrival.

    Attributes:
        index: Index of each lumisection.
        spoke: Whether the reference may speak of it.
        scores: Score of each by detector; minus infinity where it says nothing.
        told: Alarms of retrigger, as place in this trace, verdict, object and name of the strongest contributor.
    """

    index: NDArray[np.int64]
    spoke: NDArray[np.bool_]
    scores: dict[str, Floats]
    told: list[tuple[int, str, str, str]]

    def save(self, path: Path) -> None:
        """Write it; the file appears whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        writing = path.with_suffix(".partial")
        names = list(self.scores)
        head = np.frombuffer(json.dumps({"names": names, "told": self.told}).encode(), dtype=np.uint8)
        table = np.stack([self.scores[name] for name in names])
        with writing.open("wb") as out:
            np.savez(out, head=head, index=self.index, spoke=self.spoke, table=table)
        writing.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Trace":
        """Read it."""
        with np.load(path) as found:
            head = json.loads(found["head"].tobytes())
            scores = dict(zip(head["names"], found["table"], strict=True))
            told = [(place, verdict, kind, name) for place, verdict, kind, name in head["told"]]
            return cls(found["index"], found["spoke"], scores, told)


def trace(stream: Iterable[Kept], seed: int, reference: Reference, peers: Mapping[str, Peer]) -> Trace:
    """Let retrigger and every memoryless peer watch a stream; what alarms is acknowledged and watched on."""
    watch = Watch(reference, false_alarms_per_lumisection=BUDGET, stream="bench")
    dice = Random(reference, np.random.default_rng([seed, 15]), 0.0)
    scores: dict[str, list[float]] = {name: [] for name in (OURS, RANDOM, *peers)}
    index, spoke = [], []
    told: list[tuple[int, str, str, str]] = []
    for place, one in enumerate(stream):
        decision = watch.take(one.summary, one.conditions)
        index.append(one.index)
        spoke.append(decision.state not in {"excluded", "data_gap", "out_of_support"})
        scores[OURS].append(decision.log_evidence if spoke[-1] else -np.inf)
        scores[RANDOM].append(dice.score(one))
        for name, peer in peers.items():
            scores[name].append(peer.score(one))
        if decision.alarm is not None:
            lead = decision.alarm.contributors[0]
            told.append((place, decision.alarm.verdict, lead.object, lead.name))
            watch.acknowledge()
    rows = {name: np.array(values, dtype=np.float64) for name, values in scores.items()}
    return Trace(np.array(index), np.array(spoke), rows, told)


def river_alarms(
    name: str, parameters: Mapping[str, float], stream: Iterable[Kept], reference: Reference
) -> Iterator[int]:
    """Yield the places at which one of river's detectors alarms; each alarm is acknowledged."""
    detector = RiverDetector(
        reference,
        detector=RIVER[name],
        false_alarms_per_lumisection=BUDGET,
        stream=name,
        parameters=parameters,
    )
    for place, one in enumerate(stream):
        if detector.take(one.summary, one.conditions).alarm is not None:
            detector.acknowledge()
            yield place


def kswin_least(stream: Iterable[Kept], reference: Reference, window: int = 100, recent: int = 30) -> float:
    """Return the smallest p-value KSWIN meets on a stream, so that it need not be run once for each `alpha`.

    The same draws as `drift.listeners` makes.
    """
    kept: list[Floats] = []
    least, clock = 1.0, -1
    for one in stream:
        if unfit(reference, one.summary, one.conditions) is not None:
            continue
        value = reference.streams.standard(one.summary, one.pileup)
        kept = [*kept[-(window - 1) :], np.clip(value, -CLIP, CLIP)]
        clock += 1
        if len(kept) < window:
            continue
        for place, values in enumerate(np.stack(kept).T.tolist()):
            kinds: dict[str, Any] = {"window_size": window, "stat_size": recent, "alpha": 1e-300}
            listener: Any = KSWIN(**kinds, seed=clock * len(value) + place, window=values[:-1])
            listener.update(values[-1])
            least = min(least, float(listener.p_value))
    return least
