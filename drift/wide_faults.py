"""Faults alike all around, or in only some events: ageing with dose, uniform losses, a luminosity told wrongly.

Operators as in `drift.faults`; they stand apart because nothing azimuthal gives them away, so that only the shape of
what they do to every stream together tells one from another.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from drift.faults import Fault, Recorded, scaled_pt

ETA_OF_LOSS = 69.0
"""Hardware steps of a calorimeter's η at which a loss with dose is told: |η| = 3."""


@dataclass(frozen=True)
class GainByEta:
    """Energies of some object types fall with the square of pseudorapidity, as crystals and tiles lose light to dose.

    ``loss`` is the relative loss at |η| = 3; below zero it is a correction that goes too far.
    """

    loss: float
    objects: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{' and '.join(self.objects)} energies {-self.loss:+.1%} at |eta| = 3, less at the centre"

    broken: ClassVar[bool] = False

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        changed = {}
        for kind in self.objects:
            one = recorded.objects[kind]
            factor = 1 - self.loss * np.minimum((one.eta / ETA_OF_LOSS) ** 2, 2.0)
            changed[kind] = replace(one, pt=scaled_pt(one.pt, factor, one.high, rng)).ordered()
        return recorded.with_objects(**changed)


@dataclass(frozen=True)
class Fading:
    """Objects of one type are found less often the farther out, on both sides alike: light lost to dose, behind cuts.

    ``loss`` is the fraction lost at |η| = 3; it grows as that power of pseudorapidity.
    """

    kind: str
    loss: float
    power: int

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.kind} found {self.loss:.1%} less often at |eta| = 3, less at the centre"

    broken: ClassVar[bool] = False

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        one = recorded.objects[self.kind]
        chance = self.loss * np.minimum((np.abs(one.eta) / ETA_OF_LOSS) ** self.power, 2.0)
        return recorded.with_objects(**{self.kind: one.without(rng.random(one.pt.shape) < chance)})


@dataclass(frozen=True)
class Uniform:
    """A fraction of the objects of one type is lost everywhere, whatever their pt; sums stay as they are."""

    kind: str
    fraction: float

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.kind} loss of {self.fraction:.1%} everywhere"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        one = recorded.objects[self.kind]
        return recorded.with_objects(**{self.kind: one.without(rng.random(one.pt.shape) < self.fraction)})


@dataclass(frozen=True)
class OtherPileup:
    """Events as they are, but their pileup is told wrongly: they had this many times what is said of them."""

    factor: float

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.factor:.3f} times the pileup that is said"

    @classmethod
    def by(cls, excess: float) -> "OtherPileup":
        """Return it for a relative excess over what is said."""
        return cls(1 + excess)

    broken: ClassVar[bool] = False

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        del rng
        return recorded


@dataclass(frozen=True)
class Partly:
    """A fault that hits only a fraction of the events, as one of many links or crossings would."""

    fault: Fault
    fraction: float

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.fault.name} in {self.fraction:.0%} of events"

    @property
    def broken(self) -> bool:
        """See `Fault`."""
        return self.fault.broken

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        after = self.fault.apply(recorded, rng)
        hit = rng.random(recorded.events) < self.fraction
        objects = {
            kind: replace(
                one,
                **{
                    name: np.where(hit[:, None], getattr(after.objects[kind], name), getattr(one, name))
                    for name in ("pt", "eta", "phi")
                },
            )
            for kind, one in recorded.objects.items()
        }
        met = (np.where(hit, getattr(after, name), getattr(recorded, name)) for name in ("met_pt", "met_phi"))
        return Recorded(objects, *met)
