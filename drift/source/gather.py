"""From columns to whole lumisections of hardware integers, refusing what no detector can send.

Nothing here opens a file.  Every rule is about content: bounds of the hardware, falling transverse momentum, one event
number once, the run and lumisections that the name claims.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.schema import FeatureSchema, ObjectBranches
from drift.source.naming import Block
from drift.source.refusal import RefusedFileError

RUN_LIMIT = 10_000_000
SIMULATION_RUN = 1
MET_HIGH = 4095
MET_PHI_BINS = 144

Integers = NDArray[np.int16]


@dataclass(frozen=True)
class Candidates:
    """Every candidate of one type in a range of events.

    Attributes:
        counts: Candidates per event.
        pt: Of every candidate, flat; as are the others.
        eta: None for sums.
        phi: Azimuth.
        bx: Bunch crossing; None where the file has the triggered one only.
        select: Whether it is the wanted kind of sum; None where every candidate is.
    """

    counts: NDArray[np.int64]
    pt: NDArray[Any]
    eta: NDArray[Any] | None
    phi: NDArray[Any]
    bx: NDArray[Any] | None
    select: NDArray[np.bool_] | None


@dataclass
class Gathered:
    """What has been read of a file so far, in file order."""

    schema: FeatureSchema
    run: list[NDArray[np.int64]] = field(default_factory=list)
    lumisection: list[NDArray[np.int64]] = field(default_factory=list)
    event: list[NDArray[np.uint64]] = field(default_factory=list)
    features: list[Integers] = field(default_factory=list)
    objects: dict[str, list[tuple[NDArray[np.int64], Integers, Integers, Integers]]] = field(default_factory=dict)

    def take(
        self,
        run: NDArray[Any],
        lumisection: NDArray[Any],
        event: NDArray[Any] | None,
        candidates: dict[str, Candidates],
    ) -> None:
        """Add a range of events.

        Raises:
            RefusedFileError: A value is one that no hardware sends.
        """
        self.run.append(run.astype(np.int64))
        self.lumisection.append(lumisection.astype(np.int64))
        if event is not None:
            self.event.append(event.astype(np.uint64))
        block = np.zeros((len(self.schema.features), len(run)), dtype=np.int16)
        for kind, found in candidates.items():
            self._take_kind(kind, found, block)
        self.features.append(block)

    def _take_kind(self, kind: str, found: Candidates, block: Integers) -> None:
        branches = self.schema.objects.get(kind)
        _check_bounds(kind, branches, found)
        owner = np.repeat(np.arange(len(found.counts)), found.counts)
        keep = np.ones(len(owner), dtype=bool) if found.bx is None else found.bx == 0
        if found.select is not None:
            keep = keep & found.select
        owner = owner[keep]
        pt, phi = found.pt[keep].astype(np.int16), found.phi[keep].astype(np.int16)
        eta = np.zeros_like(pt) if found.eta is None else found.eta[keep].astype(np.int16)
        counts = np.bincount(owner, minlength=len(found.counts)).astype(np.int64)
        most = 1 if branches is None else branches.most
        if len(counts) and counts.max() > most:
            raise RefusedFileError(
                "too_many_objects",
                f"{kind}: {counts.max()} candidates in one crossing, the hardware sends at most {most}",
            )
        if branches is not None:
            if branches.ordered:
                _check_order(kind, owner, pt)
            self.objects.setdefault(kind, []).append((counts, pt, eta, phi))
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.array(self.schema.rows(kind), dtype=np.int64).reshape(-1, 3)
        used = rank < len(rows)
        for column, values in enumerate((pt, eta, phi)):
            block[rows[rank[used], column], owner[used]] = values[used]


def _check_bounds(kind: str, branches: ObjectBranches | None, found: Candidates) -> None:
    pt_high = MET_HIGH if branches is None else branches.pt_high
    phi_high = MET_PHI_BINS - 1 if branches is None else branches.phi_bins - 1
    chosen = slice(None) if found.select is None else found.select
    _check_range(f"{kind} hardware pt", found.pt[chosen], 0, pt_high)
    _check_range(f"{kind} hardware phi", found.phi[chosen], 0, phi_high)
    if found.eta is not None and branches is not None:
        _check_range(f"{kind} hardware eta", found.eta, -branches.eta_high, branches.eta_high)


def _check_range(what: str, values: NDArray[Any], low: int, high: int) -> None:
    if values.dtype.kind not in "iu":
        raise RefusedFileError("wrong_type", f"{what} is stored as {values.dtype}, expected integers")
    wrong = (values < low) | (values > high)
    if wrong.any():
        raise RefusedFileError(
            "out_of_range",
            f"{what}: {int(wrong.sum())} of {len(values)} values lie outside {low}..{high} "
            f"(first {int(values[wrong.argmax()])})",
        )


def _check_order(kind: str, owner: NDArray[np.int64], pt: Integers) -> None:
    rises = (np.diff(pt) > 0) & (np.diff(owner) == 0)
    if rises.any():
        raise RefusedFileError(
            "out_of_order",
            f"{kind}: {int(rises.sum())} candidates exceed the one before in pt (first in event "
            f"{int(owner[rises.argmax()])} of its batch), the hardware sends them falling",
        )


def check_identity(
    run: NDArray[np.int64], lumisection: NDArray[np.int64], event: NDArray[np.uint64] | None, claim: Block | None
) -> None:
    """Check run, lumisection and event numbers of a whole file against each other and against its name.

    Raises:
        RefusedFileError: They contradict the name, or no detector counts like that.
    """
    if len(run):
        if run.min() < 1 or run.max() >= RUN_LIMIT:
            raise RefusedFileError(
                "out_of_range", f"run numbers span {run.min()}..{run.max()}, expected 1..{RUN_LIMIT - 1}"
            )
        if lumisection.min() < 1:
            raise RefusedFileError("out_of_range", f"lumisection {lumisection.min()} found, they count from 1")
    if claim is not None and len(run):
        if (run != claim.run).any():
            raise RefusedFileError(
                "run_mismatch",
                f"the name says run {claim.run}, {int((run != claim.run).sum())} entries are of run "
                f"{run[(run != claim.run).argmax()]}",
            )
        outside = (lumisection < claim.first) | (lumisection > claim.last)
        if outside.any():
            raise RefusedFileError(
                "lumisection_outside_block",
                f"the name says lumisections {claim.first}-{claim.last}, {int(outside.sum())} entries are of "
                f"lumisection {lumisection[outside.argmax()]}",
            )
    if event is not None and len(event) > 1:
        order = np.lexsort((event, run))
        twice = (np.diff(event[order]) == 0) & (np.diff(run[order]) == 0)
        if twice.any():
            raise RefusedFileError(
                "duplicate_events",
                f"{int(twice.sum())} events repeat an event number of their run (first {event[order][:-1][twice][0]})",
            )
