"""What detectors do wrong, as operators on recorded events.

An operator takes the trigger objects of real or simulated events and returns them as they would have come out of a
detector with that fault.  From such replays come the directions a detector looks into, the sensitivity published for
each failure mode, and the likelihoods a verdict weighs.  Operators act on objects, not on towers: they are what a fault
does to first order.  Users add their own under the entry point ``retrigger.faults``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from drift.errors import DriftError
from drift.events import LumisectionEvents, ObjectColumns
from drift.schema import FeatureSchema

Integers = NDArray[np.int16]

CALORIMETER = ("EG", "JET")
MET_HIGH = 4095
CALO_PHI = 144


class FaultError(DriftError, ValueError):
    """A fault operator was given something that no detector can do."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Objects of one type in many events, in falling pt, zero where absent.

    Attributes:
        pt: Hardware pt, shape ``(n_events, most)``.
        eta: Hardware pseudorapidity.
        phi: Hardware azimuth.
        turn: Azimuth steps in a full turn, 144 or 576.
        high: Largest pt the hardware can send.
    """

    pt: Integers
    eta: Integers
    phi: Integers
    turn: int
    high: int

    def without(self, gone: NDArray[np.bool_]) -> "Candidates":
        """Return what is left when some are lost; those behind move up."""
        return replace(self, pt=np.where(gone, 0, self.pt).astype(np.int16)).ordered()

    def ordered(self) -> "Candidates":
        """Return them in falling pt, with zeros where nothing is."""
        order = np.argsort(-self.pt, axis=1, kind="stable")
        pt = np.take_along_axis(self.pt, order, 1)
        there = pt > 0
        eta = np.where(there, np.take_along_axis(self.eta, order, 1), 0).astype(np.int16)
        phi = np.where(there, np.take_along_axis(self.phi, order, 1), 0).astype(np.int16)
        return replace(self, pt=pt, eta=eta, phi=phi)


@dataclass(frozen=True, eq=False)
class Recorded:
    """The trigger objects of many events, as fault operators take them.

    Attributes:
        objects: Candidates by type.
        met_pt: Missing transverse momentum, hardware units, shape ``(n_events,)``.
        met_phi: Its azimuth, 0..143.
    """

    objects: Mapping[str, Candidates]
    met_pt: Integers
    met_phi: Integers

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.met_pt)

    def with_objects(self, **changed: Candidates) -> "Recorded":
        """Return the events with some object types replaced."""
        return replace(self, objects={**self.objects, **changed})

    def pushed(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> "Recorded":
        """Return the events with a vector, in hardware pt units, added to missing momentum; zero changes no bit."""
        moved = (x != 0) | (y != 0)
        angle = (self.met_phi + 0.5) * (2 * np.pi / CALO_PHI)
        x = (self.met_pt + 0.5) * np.cos(angle) + x
        y = (self.met_pt + 0.5) * np.sin(angle) + y
        pt = np.minimum(np.hypot(x, y), MET_HIGH).astype(np.int16)
        phi = (np.arctan2(y, x) % (2 * np.pi) * (CALO_PHI / (2 * np.pi))).astype(np.int16) % CALO_PHI
        return replace(self, met_pt=np.where(moved, pt, self.met_pt), met_phi=np.where(moved, phi, self.met_phi))

    @classmethod
    def of(cls, events: LumisectionEvents, schema: FeatureSchema) -> "Recorded":
        """Take the ranks that are network inputs; candidates beyond them do not take part.

        Raises:
            FaultError: The schema has no MET, or an object type without pt, eta and phi.
        """
        names = set(schema.names)
        if not {"MET_pt", "MET_phi"} <= names:
            raise FaultError(f"schema {schema.name} has no missing momentum, so faults cannot be replayed on it")
        objects = {}
        for kind, branches in schema.objects.items():
            rows: dict[str, list[int]] = {"pt": [], "eta": [], "phi": []}
            for row in schema.rows(kind):
                rows[schema.features[row].quantity].append(row)
            if not len(rows["pt"]) == len(rows["eta"]) == len(rows["phi"]):
                raise FaultError(f"schema {schema.name} does not read pt, eta and phi of every {kind}")
            pt, eta, phi = (np.ascontiguousarray(events.features[rows[one]].T) for one in ("pt", "eta", "phi"))
            objects[kind] = Candidates(pt, eta, phi, branches.phi_bins, branches.pt_high)
        met = (events.features[schema.index(name)].astype(np.int16) for name in ("MET_pt", "MET_phi"))
        return cls(objects, *met)

    def as_events(self, schema: FeatureSchema, run: int, lumisection: int) -> LumisectionEvents:
        """Return the events as they would have been read from a file."""
        features = np.zeros((len(schema.features), self.events), dtype=np.int16)
        features[schema.index("MET_pt")], features[schema.index("MET_phi")] = self.met_pt, self.met_phi
        objects = {}
        for kind, one in self.objects.items():
            there = one.pt > 0
            objects[kind] = ObjectColumns(one.pt[there], one.eta[there], one.phi[there])
            table = {"pt": one.pt, "eta": one.eta, "phi": one.phi}
            for row in schema.rows(kind):
                feature = schema.features[row]
                features[row] = table[feature.quantity][:, feature.rank - 1]
        return LumisectionEvents(run, lumisection, features, objects)


def joined(parts: Sequence[Recorded]) -> Recorded:
    """Return events of several lumisections one after another."""

    def column(kind: str, name: str) -> Integers:
        tables: list[Integers] = [getattr(part.objects[kind], name) for part in parts]
        most = max(one.shape[1] for one in tables)
        return np.concatenate([np.pad(one, ((0, 0), (0, most - one.shape[1]))) for one in tables])

    objects = {
        kind: Candidates(column(kind, "pt"), column(kind, "eta"), column(kind, "phi"), first.turn, first.high)
        for kind, first in parts[0].objects.items()
    }
    met = [np.concatenate([getattr(part, name) for part in parts]) for name in ("met_pt", "met_phi")]
    return Recorded(objects, met[0], met[1])


class Fault(Protocol):
    """One failure mode at one size."""

    @property
    def name(self) -> str:
        """Mode and place, as an expert would say it."""

    @property
    def broken(self) -> bool:
        """Whether it is a broken detector (true), or something to learn (false)."""

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """Return the events as the faulty detector would have sent them; ``recorded`` stays as it is."""


@dataclass(frozen=True)
class Box:
    """A place in hardware units: η from ``eta[0]`` to ``eta[1]``, φ from ``phi[0]`` on in the positive sense."""

    eta: tuple[int, int]
    phi: tuple[int, int]

    def holds(self, one: Candidates) -> NDArray[np.bool_]:
        """Return which candidates lie inside."""
        width = (self.phi[1] - self.phi[0]) % one.turn or one.turn
        inside = (one.eta >= self.eta[0]) & (one.eta < self.eta[1])
        return np.asarray(inside & ((one.phi - self.phi[0]) % one.turn < width) & (one.pt > 0))


@dataclass(frozen=True)
class Gain:
    """All energies of some object types times a factor; missing momentum too when the whole calorimeter is meant."""

    factor: float
    objects: tuple[str, ...] = CALORIMETER
    met: bool = True

    @property
    def name(self) -> str:
        """See `Fault`."""
        kinds = "all energies" if self.met else " and ".join(self.objects)
        return f"gain of {kinds} {self.factor - 1:+.1%}"

    broken: ClassVar[bool] = False

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`.  What was lost below the integer is drawn again, so small factors work on average."""
        changed = {}
        for kind in self.objects:
            one = recorded.objects[kind]
            moved = scaled_pt(one.pt, self.factor, one.high, rng)
            changed[kind] = replace(one, pt=moved).ordered()
        after = recorded.with_objects(**changed)
        return (
            replace(after, met_pt=scaled_pt(after.met_pt, self.factor, MET_HIGH, rng, cut=False)) if self.met else after
        )


def scaled_pt(
    pt: Integers, factor: float | NDArray[np.float64], high: int, rng: np.random.Generator, *, cut: bool = True
) -> Integers:
    """Return hardware pt times a factor, what was lost below the integer drawn again; zero stays zero.

    With ``cut``, what falls below the smallest pt there was is lost, as below a trigger's own threshold.  What a larger
    gain would lift above it was never recorded.
    """
    moved = np.clip(np.floor((pt + rng.random(pt.shape)) * factor), 0, high)
    low = int(pt[pt > 0].min()) if cut and pt.any() else 0
    return np.where((pt > 0) & (moved >= low), moved, 0).astype(np.int16)


@dataclass(frozen=True)
class Loss:
    """A fraction of the objects in a box is lost; what the calorimeter does not see is missing momentum."""

    objects: tuple[str, ...]
    fraction: float
    box: Box
    where: str

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{' and '.join(self.objects)} loss of {self.fraction:.0%} in {self.where}"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        changed, x, y = {}, np.zeros(recorded.events), np.zeros(recorded.events)
        for kind in self.objects:
            one = recorded.objects[kind]
            gone = self.box.holds(one)
            if self.fraction < 1:
                gone &= rng.random(gone.shape) < self.fraction
            changed[kind] = one.without(gone)
            if kind == "JET":
                lost, angle = np.where(gone, one.pt, 0), (one.phi + 0.5) * (2 * np.pi / one.turn)
                x += (lost * np.cos(angle)).sum(axis=1)
                y += (lost * np.sin(angle)).sum(axis=1)
        after = recorded.with_objects(**changed)
        return after.pushed(x, y) if x.any() or y.any() else after


def sector_loss(kind: str, sector: int, of: int, fraction: float, turn: int, eta_high: int = 1000) -> Loss:
    """Return the loss of a fraction of one object type in one of several equal azimuthal sectors."""
    width = turn // of
    box = Box((-eta_high, eta_high), (sector * width, (sector + 1) * width))
    return Loss((kind,), fraction, box, f"sector {sector + 1} of {of}")


@dataclass(frozen=True)
class Hot:
    """One place sends an object in a fraction of events, of exponential pt above a threshold."""

    kind: str
    rate: float
    eta: int
    phi: int
    pt_low: int = 40
    pt_mean: int = 30

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"hot {self.kind} cell at eta {self.eta}, phi {self.phi} in {self.rate:.2%} of events"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`.  The new object takes the place of the softest when all places are taken."""
        one = recorded.objects[self.kind]
        fires = rng.random(recorded.events) < self.rate
        new = np.where(fires, self.pt_low + rng.exponential(self.pt_mean, recorded.events), 0).astype(np.int16)
        pt, eta, phi = one.pt.copy(), one.eta.copy(), one.phi.copy()
        won = new > pt[:, -1]
        pt[won, -1], eta[won, -1], phi[won, -1] = np.minimum(new[won], one.high), self.eta, self.phi
        after = recorded.with_objects(**{self.kind: replace(one, pt=pt, eta=eta, phi=phi).ordered()})
        angle = (self.phi + 0.5) * (2 * np.pi / one.turn)
        return after.pushed(-new * np.cos(angle), -new * np.sin(angle))


@dataclass(frozen=True)
class Noise:
    """Gaussian noise in both components of missing momentum, hardware units."""

    sigma: float

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"noise of {self.sigma:.1f} counts in missing momentum"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        return recorded.pushed(*rng.normal(0.0, self.sigma, (2, recorded.events)))


@dataclass(frozen=True)
class Decorrelate:
    """Missing momentum has the azimuth of another event in a fraction of events; each column alone is as before."""

    fraction: float

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"missing momentum's direction mixed up in {self.fraction:.0%} of events"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        mixed = rng.random(recorded.events) < self.fraction
        phi = recorded.met_phi.copy()
        phi[mixed] = rng.permutation(phi[mixed])
        return replace(recorded, met_phi=phi)


@dataclass(frozen=True)
class StuckBit:
    """One bit of one quantity of an object type is always 0 or always 1."""

    kind: str
    quantity: str
    bit: int
    value: int

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.kind} {self.quantity} bit {self.bit} stuck at {self.value}"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        del rng
        one = recorded.objects[self.kind]
        mask = np.int16(1 << self.bit)
        old = getattr(one, self.quantity)
        new = np.where(one.pt > 0, old | mask if self.value else old & ~mask, old).astype(np.int16)
        return recorded.with_objects(**{self.kind: replace(one, **{self.quantity: new})})


@dataclass(frozen=True)
class Swapped:
    """Two quantities of an object type arrive in each other's place."""

    kind: str
    one: str
    other: str

    @property
    def name(self) -> str:
        """See `Fault`."""
        return f"{self.kind} {self.one} and {self.other} swapped"

    broken: ClassVar[bool] = True

    def apply(self, recorded: Recorded, rng: np.random.Generator) -> Recorded:
        """See `Fault`."""
        del rng
        one = recorded.objects[self.kind]
        return recorded.with_objects(
            **{self.kind: replace(one, **{self.one: getattr(one, self.other), self.other: getattr(one, self.one)})}
        )
