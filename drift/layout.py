"""Where every histogram and map of a schema lies: one flat table of counts, and the eta-phi grids beside it.

A layout follows from the schema alone, so two programs that know one schema agree about every bin.  Nothing here
counts.
"""

from dataclasses import dataclass
from functools import lru_cache

from drift.schema import FeatureSchema

MUON_CELL = (18, 16)
"""Hardware steps of a muon cell in η and φ: 0.2 by 10 degrees."""
TOWER = (2, 2)
"""Of a calorimeter cell: one trigger tower, the least that can be dead or hot by itself."""
CALO_PHI = 144
HARD = {"EG": 20, "JET": 40}
"""Hardware pt of a second map: above 10 and 20 GeV a hot tower stands out of what pileup sends."""
HARD_MET = 60
"""Hardware pt above which missing momentum is mostly a jet that was measured too low, so that its direction tells."""
HT_STEP = 16
HT_BINS = 256
RECOIL_ETA = 68
"""Hardware pseudorapidity up to which jets and e/gamma count as what missing momentum recoils from: sums end near 3."""
ABSENT = CALO_PHI // 2 + 1
"""Bin of an angle whose objects are not both there, one above the largest angle."""


@dataclass(frozen=True)
class MapGrid:
    """The eta-phi cells one object type is counted on.

    Attributes:
        object: ``EG``, ``MU`` or ``JET``.
        eta_low: Lower edge of the first cell, hardware steps.
        eta_step: Hardware steps in one η cell.
        phi_step: Hardware steps in one φ cell.
        shape: Number of η and φ cells.
        eta_lsb: What one hardware step is in pseudorapidity.
        pt_low: Least hardware pt of the objects counted on it.
    """

    object: str
    eta_low: int
    eta_step: int
    phi_step: int
    shape: tuple[int, int]
    eta_lsb: float
    pt_low: int = 0

    @property
    def name(self) -> str:
        """The map's name: its object type, and above which pt."""
        return f"{self.object} above {self.pt_low // 2} GeV" if self.pt_low else self.object

    def halved(self) -> "MapGrid":
        """Return the grid whose cells are two by two of this one's."""
        shape = (-(-self.shape[0] // 2), -(-self.shape[1] // 2))
        return MapGrid(
            self.object, self.eta_low, 2 * self.eta_step, 2 * self.phi_step, shape, self.eta_lsb, self.pt_low
        )


@dataclass(frozen=True)
class Histogram:
    """Where one histogram lies in the flat table of counts.

    Attributes:
        name: Feature or derived quantity.
        object: Object type it belongs to.
        quantity: ``pt``, ``eta``, ``phi``, ``angle``, ``sum`` or ``count``.
        rank: From 1 for features, 0 for derived quantities.
        low: Value of the first regular bin.
        width: Number of regular bins; one below and one above hold what is out of range.
        offset: Where its ``width + 2`` bins start.
    """

    name: str
    object: str
    quantity: str
    rank: int
    low: int
    width: int
    offset: int

    @property
    def bins(self) -> slice:
        """All its bins, out-of-range ones included."""
        return slice(self.offset, self.offset + self.width + 2)

    @property
    def regular(self) -> slice:
        """Its bins without the two for out of range."""
        return slice(self.offset + 1, self.offset + 1 + self.width)


@dataclass(frozen=True)
class Layout:
    """Every histogram and map of a schema, in order."""

    histograms: tuple[Histogram, ...]
    maps: tuple[MapGrid, ...]
    size: int


def _derived(schema: FeatureSchema) -> list[tuple[str, str, str, int]]:
    ranks = {kind: sum(f.object == kind and f.quantity == "pt" for f in schema.features) for kind in schema.objects}
    found = [(f"n_{kind}", kind, "count", most + 1) for kind, most in ranks.items() if most]
    if ranks.get("JET", 0) >= 2:
        found += [("dphi_jet1_jet2", "JET", "angle", ABSENT + 1), ("ht", "JET", "sum", HT_BINS)]
        if any(f.object == "MET" and f.quantity == "phi" for f in schema.features):
            found += [
                (name, "MET", "angle", ABSENT + 1)
                for name in ("dphi_met_jet1", "dphi_met_recoil", "dphi_hard_met_recoil")
            ]
    return found


@lru_cache(maxsize=8)
def _layout(digest: str, schema: "_Keyed") -> Layout:
    del digest
    histograms, offset = [], 0
    declared = [(f.name, f.object, f.quantity, f.rank, f.low, f.high - f.low + 1) for f in schema.schema.features]
    declared += [(name, kind, quantity, 0, 0, width) for name, kind, quantity, width in _derived(schema.schema)]
    for name, kind, quantity, rank, low, width in declared:
        histograms.append(Histogram(name, kind, quantity, rank, low, width, offset))
        offset += width + 2
    maps = []
    for kind, branches in schema.schema.objects.items():
        step, phi_step = MUON_CELL if branches.eta_high > 200 else TOWER
        lsb = 0.010875 if branches.eta_high > 200 else 0.0435
        cells = -(-(2 * branches.eta_high + 1) // step)
        shape = (cells, branches.phi_bins // phi_step)
        thresholds = (0, HARD[kind]) if kind in HARD else (0,)
        maps += [MapGrid(kind, -(cells * step) // 2, step, phi_step, shape, lsb, pt_low) for pt_low in thresholds]
    return Layout(tuple(histograms), tuple(maps), offset)


class _Keyed:
    """A schema that hashes by its digest, so that layouts are made once."""

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return hash(self.schema.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.schema.digest == self.schema.digest


def layout_of(schema: FeatureSchema) -> Layout:
    """Return where every histogram and map of a schema lies; made once per schema."""
    return _layout(schema.digest, _Keyed(schema))
