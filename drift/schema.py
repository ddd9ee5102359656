"""Which numbers are read from a run file, in which hardware units, and what range they can physically have.

A schema is a declaration: a frozen value with a digest, so that a reference, a summary and a training set can say which
one they were made under.  Nothing here opens a file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from types import MappingProxyType

from drift.errors import SchemaError

CALO_ETA_LSB = 0.087 / 2
MUON_ETA_LSB = 0.010875
CALO_PHI_BINS = 144
MUON_PHI_BINS = 576
PT_LSB_GEV = 0.5


@dataclass(frozen=True)
class Feature:
    """One network input: a quantity of the n-th object of a type, as a hardware integer.

    Attributes:
        name: As model authors know it, e.g. ``Jet1_pt``.
        object: ``MET``, ``EG``, ``MU`` or ``JET``.
        rank: From 1, in falling pt.
        quantity: ``pt``, ``eta`` or ``phi``.
        low: Smallest value the hardware can send.
        high: Largest value the hardware can send.
        unit: What one count means.
    """

    name: str
    object: str
    rank: int
    quantity: str
    low: int
    high: int
    unit: str


@dataclass(frozen=True)
class ObjectBranches:
    """Where one object type is found in L1Nano, and what its integers may be.

    Attributes:
        collection: Branch prefix, e.g. ``L1Jet``.
        pt: Branch of the transverse momentum, LSB 0.5 GeV.
        eta: Branch of the pseudorapidity.
        phi: Branch of the azimuth.
        ranks: How many of them are network inputs.
        pt_high: Largest pt the hardware can send.
        eta_high: Largest absolute pseudorapidity the hardware can send.
        phi_bins: Number of azimuth steps in a full turn.
        most: The most candidates the hardware sends per bunch crossing.
        ordered: Whether the hardware sends falling pt.  Muons come ranked by pt and quality together, so no invariant.
        reduced_pt_gev: The cut central NanoAOD makes on this collection, by which its absence is explained.
    """

    collection: str
    pt: str
    eta: str
    phi: str
    ranks: int
    pt_high: int
    eta_high: int
    phi_bins: int
    most: int
    ordered: bool
    reduced_pt_gev: int

    @property
    def branches(self) -> tuple[str, str, str]:
        """Full branch names of pt, eta and phi."""
        return f"{self.collection}_{self.pt}", f"{self.collection}_{self.eta}", f"{self.collection}_{self.phi}"


@dataclass(frozen=True)
class FeatureSchema:
    """What is read: the network inputs in order, and the collections behind them.

    Attributes:
        name: How configurations name it.
        features: In the order of the network's inputs; empty for a schema that only counts seeds.
        objects: Collections by object type.
        sum_type: etSumType of the MET input; 2 is without the forward calorimeter, as the trigger uses it.
    """

    name: str
    features: tuple[Feature, ...]
    objects: Mapping[str, ObjectBranches]
    sum_type: int | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the declaration as canonical JSON."""
        body = {
            "name": self.name,
            "features": [asdict(feature) for feature in self.features],
            "objects": {key: asdict(branches) for key, branches in sorted(self.objects.items())},
            "sum_type": self.sum_type,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Branches with one number per event that must be there; event numbers only where features are read."""
        return ("run", "luminosityBlock", "event") if self.features else ("run", "luminosityBlock")

    def index(self, name: str) -> int:
        """Return the row of a feature.

        Raises:
            SchemaError: There is no such feature.
        """
        for row, feature in enumerate(self.features):
            if feature.name == name:
                return row
        raise SchemaError(
            f"schema {self.name} has no feature {name!r}; it has {len(self.features)} from "
            f"{self.features[0].name if self.features else 'none'}"
        )

    def rows(self, object_type: str) -> tuple[int, ...]:
        """Return the rows of every feature of one object type."""
        return tuple(row for row, feature in enumerate(self.features) if feature.object == object_type)


_OBJECTS = MappingProxyType(
    {
        "EG": ObjectBranches(
            "L1EG", "hwPt", "hwEta", "hwPhi", 4, 511, 127, CALO_PHI_BINS, 12, ordered=True, reduced_pt_gev=10
        ),
        "MU": ObjectBranches(
            "L1Mu", "hwPt", "hwEtaAtVtx", "hwPhiAtVtx", 4, 511, 225, MUON_PHI_BINS, 8, ordered=False, reduced_pt_gev=3
        ),
        "JET": ObjectBranches(
            "L1Jet", "hwPt", "hwEta", "hwPhi", 10, 2047, 127, CALO_PHI_BINS, 12, ordered=True, reduced_pt_gev=30
        ),
    }
)
_PUBLIC_NAMES = MappingProxyType({"EG": "EG", "MU": "Mu", "JET": "Jet"})
MET_HIGH = 4095


def _axol1tl_features() -> tuple[Feature, ...]:
    calo_phi = "2 pi / 144"
    features = [
        Feature("MET_pt", "MET", 1, "pt", 0, MET_HIGH, "0.5 GeV"),
        Feature("MET_eta", "MET", 1, "eta", 0, 0, "none; always 0"),
        Feature("MET_phi", "MET", 1, "phi", 0, CALO_PHI_BINS - 1, calo_phi),
    ]
    for kind, branches in _OBJECTS.items():
        muon = kind == "MU"
        eta_unit, phi_unit = (str(MUON_ETA_LSB), "2 pi / 576") if muon else (str(CALO_ETA_LSB), calo_phi)
        for rank in range(1, branches.ranks + 1):
            stem = f"{_PUBLIC_NAMES[kind]}{rank}"
            features += [
                Feature(f"{stem}_pt", kind, rank, "pt", 0, branches.pt_high, "0.5 GeV"),
                Feature(f"{stem}_eta", kind, rank, "eta", -branches.eta_high, branches.eta_high, eta_unit),
                Feature(f"{stem}_phi", kind, rank, "phi", 0, branches.phi_bins - 1, phi_unit),
            ]
    return tuple(features)


AXOL1TL_57 = FeatureSchema("axol1tl_57", _axol1tl_features(), _OBJECTS, sum_type=2)
"""The 57 inputs of the CMS anomaly trigger (CMSSW AXOL1TLCondition.cc): MET, 4 e/gamma, 4 muons, 10 jets."""

NANOAOD_BITS = FeatureSchema("nanoaod_bits", (), MappingProxyType({}), sum_type=None)
"""Any NanoAOD: lumisections and the counts of the trigger seeds that happen to be there; no network inputs."""

SCHEMAS: Mapping[str, FeatureSchema] = MappingProxyType({one.name: one for one in (AXOL1TL_57, NANOAOD_BITS)})


def schema_named(name: str) -> FeatureSchema:
    """Return a declared schema.

    Raises:
        SchemaError: No schema has this name.
    """
    if name not in SCHEMAS:
        raise SchemaError(f"schema {name!r} is not known; known are {', '.join(SCHEMAS)}")
    return SCHEMAS[name]
