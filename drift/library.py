"""The failure modes a verdict weighs against each other: what can go wrong, where, and by how much.

Each mode is a fault operator (`drift.faults`, `drift.wide_faults`) that takes a size.  A library says nothing of how
one looks in the streams: that is learnt by replaying certified events, for each reference anew (`drift.signatures`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from drift.errors import LibraryError
from drift.faults import Box, Decorrelate, Fault, Gain, Hot, Loss, Noise, Recorded, StuckBit, Swapped, sector_loss
from drift.ladder import AGEING, BROKEN, CAUSES, CONDITIONS
from drift.wide_faults import Fading, GainByEta, OtherPileup, Partly, Uniform

SECTORS = 12
RINGS = 8
LEAST_PART = 0.8
"""Fraction of events a stuck bit hits at the least.  A pt bit stuck in a tenth of all events could not be told from a
gain by a few percent; hardware fails by link, which is a sector, and that the maps find."""
CALORIMETER = (("EG", 144, 0.0435, 3.0), ("JET", 144, 0.0435, 5.0))
MUONS = (("MU", 576, 0.010875, 2.45),)
"""Object type, azimuth steps in a turn, pseudorapidity of a step, and how far out there are any."""


@dataclass(frozen=True)
class FailureMode:
    """One thing that can go wrong.

    Attributes:
        name: Unique, e.g. ``gain_eg``.
        words: What it is, as it follows "looks like".
        family: Modes that differ only in place, sign or bit; they share one prior, and are left out together.
        object: Object type that shows it, empty when several do.
        cause: ``broken_detector``, ``ageing_or_calibration`` or ``new_conditions``.
        trial: Size at which it is replayed.
        most: Largest size that means anything.
        make: The fault at a size.
        least: Smallest size; below zero where either sign can be, above where a smaller one would be something else.
        power: How its effect grows with its size: 1, or 2 where a small one cancels at first order.
        placed: It sits in one small place, which is searched for on the maps; its replay here is an example.
    """

    name: str
    words: str
    family: str
    object: str
    cause: str
    trial: float
    most: float
    make: Callable[[float], Fault]
    least: float = 0.0
    power: float = 1.0
    placed: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed or told.

        Raises:
            LibraryError: A size or the cause makes no sense.
        """
        if self.cause not in CAUSES[:3]:
            raise LibraryError(
                f"failure mode {self.name!r} has cause {self.cause!r}; give one of {', '.join(CAUSES[:3])}"
            )
        if not max(self.least, 0) <= self.trial <= self.most or self.trial <= 0:
            raise LibraryError(
                f"failure mode {self.name!r} has trial size {self.trial:g} and sizes from {self.least:g} to "
                f"{self.most:g}; the trial must lie above 0 and among the sizes"
            )

    @property
    def broken(self) -> bool:
        """Whether it is a broken detector, which nobody may learn."""
        return self.cause == BROKEN

    def replayed(
        self, recorded: Recorded, pileup: float, rng: np.random.Generator, size: float | None = None
    ) -> tuple[Recorded, float]:
        """Return events with this fault, at its trial size or another, and the pileup that is said of them."""
        fault = self.make(self.trial if size is None else size)
        said = pileup / fault.factor if isinstance(fault, OtherPileup) else pileup
        return fault.apply(recorded, rng), said


def _gains() -> Iterable[FailureMode]:
    def one(name: str, words: str, kind: str, make: Callable[[float], Fault]) -> FailureMode:
        return FailureMode(name, words, "gain", kind, AGEING, 0.02, 0.5, make, -0.5)

    yield one("gain", "gain of the whole calorimeter", "", lambda a: Gain(1 + a))
    yield one("gain_eg", "gain of e/gamma alone", "EG", lambda a: Gain(1 + a, ("EG",), met=False))
    yield one("gain_jet", "jet energy scale alone", "JET", lambda a: Gain(1 + a, ("JET",), met=False))
    yield one("gain_met", "scale of missing momentum alone", "MET", lambda a: Gain(1 + a, (), met=True))
    for kind in ("EG", "JET"):
        name, words = f"ageing_{kind.lower()}", f"{kind} energies lower far out, as dose does"
        make = _ageing(kind)
        yield FailureMode(name, words, "ageing", kind, AGEING, 0.04, 0.8, make, -0.8)
    for kind in ("EG", "JET"):
        for power, how in ((2, "smoothly"), (6, "steeply")):
            words = f"{kind} found less often far out, {how}, as dose does"
            name = f"fading_{kind.lower()}_{power}"
            yield FailureMode(name, words, "ageing", kind, AGEING, 0.2, 0.8, _fading(kind, power), -0.4)
    words = "efficiency of muons, alike everywhere"
    yield FailureMode("efficiency_mu", words, "efficiency", "MU", AGEING, 0.3, 0.5, lambda a: Uniform("MU", a), -0.5)


def _ageing(kind: str) -> Callable[[float], Fault]:
    return lambda a: GainByEta(a, (kind,))


def _fading(kind: str, power: int) -> Callable[[float], Fault]:
    return lambda a: Fading(kind, a, power)


def _losses() -> Iterable[FailureMode]:
    for kind, turn, lsb, eta_most in (*CALORIMETER, *MUONS):
        low = kind.lower()
        if kind != "MU":
            words = f"{kind} lost everywhere, at every pt alike"
            yield FailureMode(f"loss_{low}", words, "loss", kind, BROKEN, 0.1, 1.0, _uniform(kind))
        for sector in range(SECTORS):
            begin = 360 // SECTORS * sector
            words = f"{kind} lost in azimuth {begin} to {begin + 360 // SECTORS} degrees"
            yield FailureMode(
                f"sector_{low}_{sector + 1}",
                words,
                f"sector_{low}",
                kind,
                BROKEN,
                0.5,
                1.0,
                _sector(kind, sector, turn),
            )
        edges = np.linspace(-eta_most, eta_most, RINGS + 1)
        for ring, (first, last) in enumerate(pairwise(edges)):
            words = f"{kind} lost all around at pseudorapidity {first:.1f} to {last:.1f}"
            box = Box((round(first / lsb), round(last / lsb)), (0, turn))
            yield FailureMode(
                f"ring_{low}_{ring + 1}", words, f"ring_{low}", kind, BROKEN, 0.5, 1.0, _ring(kind, box, words)
            )


def _uniform(kind: str) -> Callable[[float], Fault]:
    return lambda a: Uniform(kind, a)


def _sector(kind: str, sector: int, turn: int) -> Callable[[float], Fault]:
    return lambda a: sector_loss(kind, sector, SECTORS, a, turn)


def _ring(kind: str, box: Box, words: str) -> Callable[[float], Fault]:
    return lambda a: Loss((kind,), a, box, words)


def _sums() -> Iterable[FailureMode]:
    words = "noise in missing momentum, GeV"
    yield FailureMode("met_noise", words, "noise", "MET", BROKEN, 6.0, 100.0, lambda a: Noise(2 * a), power=2.0)
    words = "events with mixed-up missing momentum"
    yield FailureMode("met_mixed", words, "mixed", "MET", BROKEN, 0.5, 1.0, Decorrelate)


def _bits() -> Iterable[FailureMode]:
    for kind, pt_bits, phi_bits in (("EG", (3, 5), (3, 6)), ("JET", (4, 6), (3, 6)), ("MU", (3, 5), (5, 8))):
        for quantity, bits in (("pt", pt_bits), ("phi", phi_bits)):
            for bit in bits:
                for value in (0, 1):
                    name = f"stuck_{kind.lower()}_{quantity}_{bit}_{value}"
                    words = f"{kind} {quantity} bit {bit} stuck at {value}"
                    make = _partly(StuckBit(kind, quantity, bit, value))
                    yield FailureMode(name, words, "stuck", kind, BROKEN, 1.0, 1.0, make, LEAST_PART)
        words = f"{kind} eta and phi swapped"
        make = _partly(Swapped(kind, "eta", "phi"))
        yield FailureMode(f"swapped_{kind.lower()}", words, "swapped", kind, BROKEN, 1.0, 1.0, make, LEAST_PART)


def _partly(fault: Fault) -> Callable[[float], Fault]:
    return lambda a: Partly(fault, a)


def _places() -> Iterable[FailureMode]:
    both, centre, towers = ("JET", "EG"), Box((-16, 16), (40, 72)), Box((8, 12), (40, 44))

    def one(name: str, words: str, family: str, trial: float, make: Callable[[float], Fault]) -> FailureMode:
        return FailureMode(name, words, family, "JET", BROKEN, trial, 1.0, make, placed=True)

    words = "objects lost in eta 0 +- 0.7, 80 degrees"
    yield one("loss_region", words, "dead", 0.2, lambda a: Loss(both, a, centre, "a region"))
    yield one("loss_tower", "objects lost in 2 x 2 towers", "dead", 0.5, lambda a: Loss(both, a, towers, "towers"))
    yield one("hot_tower", "a tower that sends a jet", "hot", 0.01, lambda a: Hot("JET", a, 11, 31))


def _conditions() -> Iterable[FailureMode]:
    words = "another luminosity than is said"
    make = OtherPileup.by
    yield FailureMode("luminosity", words, "luminosity", "", CONDITIONS, 0.02, 0.3, make, -0.3)


SHIPPED: tuple[FailureMode, ...] = (*_gains(), *_losses(), *_sums(), *_bits(), *_places(), *_conditions())
"""What every reference is replayed through; `drift.plug_ins` adds the user's."""


def examples(modes: Iterable[FailureMode]) -> tuple[FailureMode, ...]:
    """Return one mode of each family and object, all of the few that sit in one place."""
    found: dict[tuple[str, str, str], FailureMode] = {}
    for one in modes:
        many = one.family.startswith(("sector_", "ring_", "stuck"))
        found.setdefault((one.family, one.object, "" if many else one.name), one)
    return tuple(found.values())
