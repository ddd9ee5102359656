"""The particles of a proton collision, kept as small integer tables that ship with the package.

Each pool is a parquet file of Pythia 8 events, one list of particles an event.  The tail is stratified: minimum-bias
events whose hardest parton is above 20 GeV were removed and are put back, vertex by vertex, from slices generated with
a cut, each with the probability its cross-section gives it.  Nothing here knows a detector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

POOL_FOLDER = Path(__file__).parent / "pools"
MINIMUM_BIAS = "minbias_pthat_lt20"
SLICES: Mapping[str, float] = MappingProxyType({"qcd20": 9.0e-3, "qcd40": 6.9e-4, "qcd80": 4.4e-5, "qcd160": 2.3e-6})
"""Probability for one inelastic vertex to come from a slice: sigma_slice / 78.6 mb at 13.6 TeV (Pythia 8.317)."""
SIGNALS = ("HToTauTau", "TTbar", "ZToEE", "ZToMuMu")

PHOTON, PION, KAON, CHARGED, NEUTRAL, MUON, ELECTRON = range(7)
NEGATIVE = 128
"""Bit of ``kind`` that marks a negative charge."""


class PoolError(RuntimeError):
    """A particle pool is absent or not what this version wrote."""


@dataclass(frozen=True)
class Pool:
    """Particles of many events, flat.

    Attributes:
        name: Name of the pool, the file stem.
        offsets: First particle of each event, shape ``(n_events + 1,)``.
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity at the vertex.
        phi: Azimuth, 0 to 2 pi.
        kind: One of the particle kinds above; bit 7 set for negative charge.
    """

    name: str
    offsets: NDArray[np.int64]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    kind: NDArray[np.uint8]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.offsets) - 1


def load_pool(name: str, folder: Path = POOL_FOLDER) -> Pool:
    """Return one pool in physical units.

    Raises:
        PoolError: The file is absent or lacks a column.
    """
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise PoolError(f"{path}: particle pool not found; reinstall retrigger or run `make pools`")
    table = pq.read_table(path)
    missing = {"pt", "eta", "phi", "kind"} - set(table.column_names)
    if missing:
        raise PoolError(f"{path}: columns {sorted(missing)} are absent, found {table.column_names}; run `make pools`")
    pt = _flat(table, "pt")
    return Pool(
        name=name,
        offsets=_offsets(table, "pt"),
        pt=0.1 * np.exp(pt.astype(np.float64) * (np.log(40000.0) / 1023.0)),
        eta=_flat(table, "eta").astype(np.float64) * 0.01,
        phi=_flat(table, "phi").astype(np.float64) * (2.0 * np.pi / 1024.0),
        kind=_flat(table, "kind").astype(np.uint8),
    )


def _chunk(table: pa.Table, column: str) -> pa.ListArray:
    return table.column(column).combine_chunks()


def _flat(table: pa.Table, column: str) -> NDArray[np.int64]:
    return np.asarray(_chunk(table, column).flatten().to_numpy(zero_copy_only=False), dtype=np.int64)


def _offsets(table: pa.Table, column: str) -> NDArray[np.int64]:
    offsets = _chunk(table, column).offsets.to_numpy().astype(np.int64)
    return np.asarray(offsets - offsets[0], dtype=np.int64)
