"""What one lumisection looked like: lossless integer counts that add up exactly.

The inputs are integers, so counts at full resolution lose nothing that a one-dimensional test could ask for; the
eta-phi maps and the bounded pair quantities add what single columns cannot show.  Summaries add exactly and in any
order, so chunks, workers and replays agree.  Nothing here knows what a reference, a pileup or an alarm is.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import zstandard
from numpy.typing import NDArray

from drift.errors import SummaryError
from drift.events import LumisectionEvents
from drift.kernels import count_map, count_rows
from drift.schema import FeatureSchema

Counts = NDArray[np.int64]

MAGIC = b"RTLS"
VERSION = 1
DIGEST_BYTES = 32
PHI_CELLS = 36
CALO_PHI = 144
HT_STEP = 16
HT_BINS = 256
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
    """

    object: str
    eta_low: int
    eta_step: int
    phi_step: int
    shape: tuple[int, int]
    eta_lsb: float


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
            found.append(("dphi_met_jet1", "MET", "angle", ABSENT + 1))
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
        step = 18 if branches.eta_high > 200 else 6
        lsb = 0.010875 if branches.eta_high > 200 else 0.0435
        cells = -(-(2 * branches.eta_high + 1) // step)
        phi_step = branches.phi_bins // PHI_CELLS
        maps.append(MapGrid(kind, -(cells * step) // 2, step, phi_step, (cells, PHI_CELLS), lsb))
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


@dataclass(frozen=True, eq=False)
class LumisectionSummary:
    """The counts of one lumisection, or of several added together.

    Attributes:
        schema_digest: The schema it was counted under.
        lumisections: (run, lumisection) pairs in it, sorted.
        events: Number of events.
        counts: Flat table, see `layout_of`.
        maps: Objects per eta-phi cell by object type.
    """

    schema_digest: str
    lumisections: tuple[tuple[int, int], ...]
    events: int
    counts: Counts
    maps: Mapping[str, Counts]

    @property
    def run(self) -> int:
        """Run of the first lumisection in it."""
        return self.lumisections[0][0]

    @property
    def lumisection(self) -> int:
        """Number of the first lumisection in it."""
        return self.lumisections[0][1]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LumisectionSummary)
            and (self.schema_digest, self.lumisections, self.events)
            == (other.schema_digest, other.lumisections, other.events)
            and np.array_equal(self.counts, other.counts)
            and self.maps.keys() == other.maps.keys()
            and all(np.array_equal(self.maps[kind], other.maps[kind]) for kind in self.maps)
        )

    def __hash__(self) -> int:
        return hash((self.schema_digest, self.lumisections, self.events))

    def __add__(self, other: "LumisectionSummary") -> "LumisectionSummary":
        """Add two summaries exactly; the order of many additions does not matter.

        Raises:
            SummaryError: They were counted under different schemas.
        """
        if self.schema_digest != other.schema_digest:
            raise SummaryError(
                f"summaries of schema {self.schema_digest[:12]} and {other.schema_digest[:12]} cannot be added; "
                "count both under one schema"
            )
        return LumisectionSummary(
            self.schema_digest,
            tuple(sorted(set(self.lumisections) | set(other.lumisections))),
            self.events + other.events,
            self.counts + other.counts,
            {kind: self.maps[kind] + other.maps[kind] for kind in self.maps},
        )

    def to_bytes(self) -> bytes:
        """Return a versioned, checksummed, compressed copy; below 100 kB for a lumisection of CMS size."""
        head = json.dumps(
            {
                "schema": self.schema_digest,
                "lumisections": self.lumisections,
                "events": self.events,
                "counts": self.counts.size,
                "maps": {kind: one.shape for kind, one in self.maps.items()},
            },
            separators=(",", ":"),
        ).encode()
        flat = np.concatenate([self.counts, *(one.ravel() for one in self.maps.values())]).astype("<i8")
        planes = np.ascontiguousarray(flat.view(np.uint8).reshape(-1, 8).T).tobytes()
        body = struct.pack("<I", len(head)) + head + planes
        packed = zstandard.ZstdCompressor(level=9).compress(body)
        return MAGIC + struct.pack("<HI", VERSION, len(body)) + hashlib.sha256(body).digest() + packed

    @classmethod
    def from_bytes(cls, blob: bytes) -> "LumisectionSummary":
        """Restore a summary.

        Raises:
            SummaryError: The bytes are not a summary, of another version, or altered.
        """
        start = len(MAGIC) + 6 + DIGEST_BYTES
        if len(blob) < start or blob[: len(MAGIC)] != MAGIC:
            raise SummaryError("these bytes are not a lumisection summary; count the run file again")
        version, size = struct.unpack_from("<HI", blob, len(MAGIC))
        if version != VERSION:
            raise SummaryError(f"the summary has version {version}, this program reads {VERSION}; count it again")
        try:
            body = zstandard.ZstdDecompressor().decompress(blob[start:], max_output_size=size)
        except zstandard.ZstdError as cause:
            raise SummaryError(f"the summary is damaged ({cause}); count the run file again") from cause
        if hashlib.sha256(body).digest() != blob[len(MAGIC) + 6 : start]:
            raise SummaryError("the summary does not match its checksum; count the run file again")
        (length,) = struct.unpack_from("<I", body)
        head = json.loads(body[4 : 4 + length])
        planes = np.frombuffer(body, dtype=np.uint8, offset=4 + length).reshape(8, -1)
        flat = np.ascontiguousarray(planes.T).view("<i8").ravel().astype(np.int64)
        maps, place = {}, head["counts"]
        for kind, (rows, columns) in head["maps"].items():
            maps[kind] = flat[place : place + rows * columns].reshape(rows, columns)
            place += rows * columns
        pairs = tuple((run, lumisection) for run, lumisection in head["lumisections"])
        return cls(head["schema"], pairs, head["events"], flat[: head["counts"]], maps)


class Summariser:
    """Counts the events of a lumisection under one schema; the same bits with and without compilation."""

    def __init__(self, schema: FeatureSchema, *, compiled: bool = True) -> None:
        self.schema = schema
        self.layout = layout_of(schema)
        self._compiled = compiled
        histograms = self.layout.histograms
        self._low = np.array([one.low for one in histograms], dtype=np.int64)
        self._width = np.array([one.width for one in histograms], dtype=np.int64)
        self._offset = np.array([one.offset for one in histograms], dtype=np.int64)

    def fill(self, events: LumisectionEvents) -> LumisectionSummary:
        """Count one lumisection.

        Raises:
            SummaryError: The events do not have the schema's number of features.
        """
        rows = len(self.schema.features)
        if events.features.shape[0] != rows:
            raise SummaryError(
                f"run {events.run} lumisection {events.lumisection} has {events.features.shape[0]} features, schema "
                f"{self.schema.name} has {rows}; read the file under this schema"
            )
        values = np.concatenate([events.features, self._pairs(events.features)])
        table = count_rows(values, self._low, self._width, self._offset, self.layout.size, compiled=self._compiled)
        maps = {}
        for grid in self.layout.maps:
            columns = events.objects[grid.object]
            maps[grid.object] = count_map(
                columns.pt,
                columns.eta,
                columns.phi,
                grid.shape,
                grid.eta_low,
                (grid.eta_step, grid.phi_step),
                compiled=self._compiled,
            )
        pair = ((events.run, events.lumisection),)
        return LumisectionSummary(self.schema.digest, pair, events.events, table, maps)

    def _pairs(self, features: NDArray[np.int16]) -> NDArray[np.int16]:
        derived = self.layout.histograms[len(self.schema.features) :]
        out = np.zeros((len(derived), features.shape[1]), dtype=np.int16)
        row = {f.name: features[i] for i, f in enumerate(self.schema.features)}
        pts = {
            kind: features[[i for i, f in enumerate(self.schema.features) if f.object == kind and f.quantity == "pt"]]
            for kind in self.schema.objects
        }
        for line, one in zip(out, derived, strict=True):
            if one.quantity == "count":
                line[:] = (pts[one.object] > 0).sum(axis=0)
            elif one.quantity == "sum":
                line[:] = np.minimum(pts["JET"].astype(np.int32).sum(axis=0) // HT_STEP, HT_BINS - 1)
            elif one.name == "dphi_met_jet1":
                there = (row["MET_pt"] > 0) & (row["Jet1_pt"] > 0)
                line[:] = _angle(row["MET_phi"], row["Jet1_phi"], there)
            else:
                line[:] = _angle(row["Jet1_phi"], row["Jet2_phi"], row["Jet2_pt"] > 0)
        return out


def _angle(one: NDArray[np.int16], other: NDArray[np.int16], there: NDArray[np.bool_]) -> NDArray[np.int16]:
    apart = np.abs(one - other) % CALO_PHI
    return np.where(there, np.minimum(apart, CALO_PHI - apart), ABSENT).astype(np.int16)
