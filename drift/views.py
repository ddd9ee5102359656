"""What an expectation looks like under one standing: templates with other constants, and what is not looked at.

A stratum and a re-baselined interval add to the constants of every template.  An object under a declared change is not
looked at.  A masked region is taken out of map and expectation alike, so that the rest of the detector is compared with
the rest.  Nothing here remembers anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.benign import Benign
from drift.breach import Promises
from drift.cells import CellModel, pyramid
from drift.conditions import Region
from drift.fill_means import FillModel
from drift.layout import Layout, MapGrid
from drift.score_streams import SCORE
from drift.standing import Rebaselined, Standing
from drift.strata import Strata
from drift.streams import ETA_RINGS, PHI_SECTORS, Floats, StreamLabel, StreamModel

Bools = NDArray[np.bool_]

SMALL = 0.01
"""Share of an object's total that a region may hold and still leave the object's spectra comparable."""
MOST = 0.5
"""Share beyond which the rest of the object is not compared either."""
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Quiet:
    """What takes no part.

    Attributes:
        streams: Streams, shape ``(n_streams,)``.
        objects: Object types of which nothing is looked at.
        outside: Cells that are looked at, by name of the map; maps that are not named are looked at everywhere.
    """

    streams: Bools
    objects: frozenset[str] = frozenset()
    outside: Mapping[str, Bools] = field(default_factory=dict)

    def maps(self, maps: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return maps with nothing in them where nothing is looked at."""
        return {
            name: np.where(self.outside[name], one, 0) if name in self.outside else one for name, one in maps.items()
        }


@dataclass(frozen=True, eq=False)
class View:
    """The parts of a reference that depend on the standing; see `drift.reference.Reference` for what they are."""

    streams: StreamModel
    cells: tuple[CellModel, ...]
    benign: Benign
    promises: Promises
    slow: FillModel
    quiet: Quiet

    def under(
        self,
        standing: Standing,
        strata: Strata,
        rebaselined: tuple[Rebaselined, ...],
        layout: Layout,
        pileup: float,
    ) -> "View":
        """Return the view under one standing.

        Args:
            standing: The standing.
            strata: Of the reference; their rows of shifts come first.
            rebaselined: Of the reference; theirs follow, in this order.
            layout: Where histograms and maps lie.
            pileup: In the middle of the reference, where shares of regions are asked for.
        """
        view = self
        if standing.stratum:
            view = view.in_stratum(strata, standing.stratum)
        own = [(len(strata.names) + i, one) for i, one in enumerate(rebaselined) if one.id in standing.rebaselined]
        for row, one in own:
            view = view.in_interval(row, one)
        settled = frozenset(kind for _, one in own for kind in one.objects)
        unscored = bool(own) and SCORE not in settled
        whole = {*standing.muted} | ({SCORE} if standing.muted or unscored else set())
        for name in dict.fromkeys(region.object for region in standing.masked):
            regions = [region for region in standing.masked if region.object == name]
            share, masked = view.without(name, regions, layout, pileup, spectra=name not in settled)
            if share > MOST:
                whole.add(name)
            else:
                view = masked
        if standing.smooth:
            smooth = [*standing.smooth, SCORE]
            streams = replace(view.quiet, streams=view.quiet.streams | about(view.streams.labels, smooth))
            view = replace(view, streams=_blind(view.streams, smooth, layout), quiet=streams)
        return view.muting(frozenset(whole), layout) if whole else view

    def _shifted(self, row: int, benign: Benign, looser: Floats) -> "View":
        return replace(
            self,
            streams=self.streams.shifted([row]),
            cells=tuple(one.shifted([row]) for one in self.cells),
            promises=replace(self.promises, elsewhere=self.promises.elsewhere.shifted([row])),
            benign=benign,
            slow=self.slow.loosened(looser),
        )

    def in_stratum(self, strata: Strata, name: str) -> "View":
        """Return the view in one stratum; what its few lumisections leave open may be benign."""
        row = strata.place(name)
        thin = self.benign.noise / strata.lumisections[row]
        swell = self.benign.swell.shifted(row)
        open_more = max(0.0, float(swell.doubt[0, 0] - self.benign.swell.doubt[0, 0]))
        benign = replace(self.benign, swell=swell, offset=self.benign.offset + thin)
        return self._shifted(row, benign, np.full(thin.size, open_more))

    def in_interval(self, row: int, one: Rebaselined) -> "View":
        """Return the view in a re-baselined interval, whose constants are in one row of the shifts."""
        mine = about(self.streams.labels, one.objects)
        wider = self.benign.offset * (1 + one.share) + self.benign.noise / one.lumisections
        benign = replace(self.benign, offset=np.where(mine, wider, self.benign.offset))
        return self._shifted(row, benign, np.where(mine, one.share, 0.0))

    def muting(self, objects: frozenset[str], layout: Layout) -> "View":
        """Return the view in which nothing is looked at of some objects."""
        cells = tuple(
            replace(one, active=tuple(np.zeros_like(level) for level in one.active)) if one.object in objects else one
            for one in self.cells
        )
        nothing = {grid.name: np.zeros(grid.shape, dtype=bool) for grid in layout.maps if grid.object in objects}
        quiet = Quiet(
            self.quiet.streams | about(self.streams.labels, objects),
            self.quiet.objects | objects,
            {**self.quiet.outside, **nothing},
        )
        return replace(self, streams=_blind(self.streams, objects, layout), cells=cells, quiet=quiet)

    def without(
        self, name: str, regions: list[Region], layout: Layout, pileup: float, *, spectra: bool
    ) -> tuple[float, "View"]:
        """Return the share of an object's total that is not looked at, and the view without regions of its map.

        Its spectra and the score are left out by the share of the regions themselves: what sees them from around
        changes by a part only.
        """
        grids = {grid.name: grid for grid in layout.maps if grid.object == name}
        outside = {key: ~np.any([inside(grid, one.reached) for one in regions], axis=0) for key, grid in grids.items()}
        usual = next(one for one in self.cells if one.name == name).expected(1.0, pileup)
        left = np.where(outside[name], usual, 0.0)
        declared = float(usual[np.any([inside(grids[name], one) for one in regions], axis=0)].sum())
        streams, touched = _sectors_without(self.streams, name, usual, left, outside[name])
        if spectra and declared > SMALL:
            touched |= about(streams.labels, [name, SCORE]) & ~_in_families(streams.labels, ("phi", "eta", "rate"))
            streams = _blind(streams, [name], layout)
        cells = tuple(_cells_without(one, outside[one.name]) if one.name in outside else one for one in self.cells)
        objects = self.quiet.objects | {one.object for one, off in zip(streams.labels, touched, strict=True) if off} & {
            SCORE
        }
        quiet = Quiet(self.quiet.streams | touched, objects, {**self.quiet.outside, **outside})
        return float(1 - left.sum()), replace(self, streams=streams, cells=cells, quiet=quiet)


def about(labels: tuple[StreamLabel, ...], objects: Iterable[str]) -> Bools:
    """Return which streams look at any of these objects: their own, and those that are about all objects at once.

    The score is about all of its inputs; asked for by itself, only its own streams are it.
    """
    named = {*objects}
    common = {"", SCORE} if named - {SCORE} else named
    return np.array([one.object in named | common for one in labels], dtype=bool)


def _in_families(labels: tuple[StreamLabel, ...], families: tuple[str, ...]) -> Bools:
    return np.array([one.family in families for one in labels], dtype=bool)


def _blind(streams: StreamModel, objects: Iterable[str], layout: Layout) -> StreamModel:
    named = {*objects}
    blind = np.array([layout.histograms[int(one)].object in named for one in streams.owner], dtype=bool)
    if not blind.any():
        return streams
    return replace(streams, blind=blind | streams.blind if streams.blind.size else blind)


def inside(grid: MapGrid, region: Region) -> Bools:
    """Return the cells of a map that a region touches."""
    rows, columns = grid.shape
    low = (grid.eta_low + np.arange(rows) * grid.eta_step - 0.5) * grid.eta_lsb
    eta = (low < region.eta[1]) & (low + grid.eta_step * grid.eta_lsb > region.eta[0])
    turn = 2 * np.pi / columns
    after = (np.arange(columns) * turn - region.phi[0]) % (2 * np.pi)
    phi = (after < region.phi[1] - region.phi[0] - 1e-9) | (after + turn > 2 * np.pi + 1e-9)
    return np.asarray(eta[:, None] & phi[None, :])


def _cells_without(one: CellModel, outside: Bools) -> CellModel:
    """Return a map's expectation outside a region, normalised there, with no evidence from cells that touch it."""
    kept = np.where(outside, one.modulation, 0.0)
    left = kept.sum(axis=1)
    modulation = kept / np.maximum(left, TINY)[:, None]
    touched = pyramid((~outside).astype(np.float64))
    active = [level & (cells == 0) for level, cells in zip(one.active, touched, strict=True)]
    rings = one.rings.shifted(more=np.log(np.maximum(left, TINY)))
    return replace(one, rings=rings, modulation=modulation, active=tuple(active))


def _sectors_without(
    streams: StreamModel, name: str, usual: Floats, left: Floats, outside: Bools
) -> tuple[StreamModel, Bools]:
    """Return rates and sector shares of one object outside a region, and the streams of sectors that touch it."""
    place, size = streams.objects.index(name), PHI_SECTORS + ETA_RINGS
    rings = streams.rings[place]

    def parts(one: Floats) -> Floats:
        around = np.bincount(rings, weights=one.sum(axis=1), minlength=ETA_RINGS)
        return np.concatenate([one.sum(axis=0).reshape(PHI_SECTORS, -1).sum(axis=1), around])

    remains = max(float(left.sum()), TINY)
    ratio = parts(left) / np.maximum(parts(usual), TINY) / remains
    more = np.zeros(size * len(streams.objects))
    more[place * size : (place + 1) * size] = np.log(np.maximum(ratio, TINY))
    rates = np.zeros(len(streams.objects))
    rates[place] = np.log(remains)
    hit = parts((~outside).astype(np.float64)) > 0
    touched = np.array(
        [
            one.object == name and one.family in {"phi", "eta"} and hit[one.index + PHI_SECTORS * (one.family == "eta")]
            for one in streams.labels
        ],
        dtype=bool,
    )
    shifted = replace(streams, sectors=streams.sectors.shifted(more=more), rates=streams.rates.shifted(more=rates))
    return shifted, touched
