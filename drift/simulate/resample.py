"""Long streams from a pool of simulated crossings, a hundred times faster than simulating each.

A crossing with n collisions is the same whatever the mean pileup was, so a lumisection at any pileup is drawn from a
pool sorted by n: the number of collisions as it would be, then a random crossing with that number, turned by a whole
number of towers and mirrored at random.  The pool is then the truth, known as well as it is large; what a detector does
to it are operators of `drift.faults`.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drift.faults import Candidates, Recorded
from drift.simulate.detector import Detector
from drift.simulate.grid import hardware_eta
from drift.simulate.kernels import BUNCH_SPREAD, Crossings, cross
from drift.simulate.objects import SUM_TYPES
from drift.simulate.stream import tables

Shorts = NDArray[np.int16]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

PILEUPS = (8.0, 72.0)
TURN = {"JET": (144, 2), "EG": (144, 2), "MU": (576, 8)}
"""Azimuth steps in a full turn, and in one tower column."""
HIGH = {"JET": 2047, "EG": 511, "MU": 511}


def recorded_of(crossings: Crossings) -> Recorded:
    """Return simulated crossings as fault operators take them, every candidate the hardware sends."""
    eta_of_row = hardware_eta()
    places = {"JET": (crossings.jets, 0, 1, 2), "EG": (crossings.egs, 1, 1, 3), "MU": (crossings.muons, 2, 3, 4)}
    objects = {}
    for kind, (table, counted, eta_at, phi_at) in places.items():
        there = np.arange(table.shape[1])[None, :] < crossings.counts[:, counted][:, None]
        pt = np.where(there, table[:, :, 0], 0).astype(np.int16)
        eta = table[:, :, eta_at] if kind == "MU" else eta_of_row[table[:, :, eta_at].astype(np.int64)]
        phi = 2 * table[:, :, phi_at] + 1 if kind == "JET" else table[:, :, phi_at]
        eta, phi = (np.where(pt > 0, one, 0).astype(np.int16) for one in (eta, phi))
        objects[kind] = Candidates(pt, eta, phi, TURN[kind][0], HIGH[kind])
    met = crossings.sums[:, SUM_TYPES.index(2)].astype(np.int16)
    return Recorded(objects, met[:, 0].copy(), met[:, 1].copy())


@dataclass(frozen=True, eq=False)
class CrossingPool:
    """Simulated crossings sorted by their number of collisions.

    Attributes:
        recorded: Their objects.
        first: Where the crossings with n collisions begin, shape ``(most + 2,)``.
    """

    recorded: Recorded
    first: NDArray[np.int64]

    @classmethod
    def make(cls, crossings: int, seed: int) -> "CrossingPool":
        """Simulate the pool: pileup uniform over `PILEUPS`, a healthy detector.

        Args:
            crossings: How many; 400 000 take about half a minute.
            seed: Fixes every bit.
        """
        rng = np.random.default_rng([seed, 5])
        steps = max(1, crossings // 2000)
        parts = [
            cross(tables(Detector().beam_spot), Detector(), pileup, crossings // steps, rng)
            for pileup in rng.uniform(*PILEUPS, steps)
        ]
        vertices = np.concatenate([part.counts[:, 3] for part in parts])
        order = np.argsort(vertices, kind="stable")
        merged = Crossings(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in _FIELDS))
        first = np.searchsorted(vertices[order], np.arange(int(vertices.max()) + 2))
        return cls(recorded_of(merged), first)

    def draw(self, pileup: float, events: int, rng: np.random.Generator, state: "State | None" = None) -> Recorded:
        """Return the events of a lumisection.

        Args:
            pileup: Mean number of collisions a crossing.
            events: How many.
            rng: Random numbers.
            state: The detector's benign state; None for the pool's own.
        """
        now = state or State()
        spread = pileup * np.maximum(1.0 + BUNCH_SPREAD * rng.standard_normal(events), 0.0)
        met = np.zeros((events, 2), dtype=np.int16)
        names = tuple(self.recorded.objects)
        tables = [self.recorded.objects[kind] for kind in names]
        out = [np.zeros((3, events, one.pt.shape[1]), dtype=np.int16) for one in tables]
        chosen, turns, mirrors = np.zeros(events, np.int64), np.zeros(events, np.int64), np.zeros(events, np.int64)
        _choose(self.first, spread, rng, chosen, turns, mirrors)
        for kind, one, place in zip(names, tables, out, strict=True):
            full, step = TURN[kind]
            _place(
                (one.pt, one.eta, one.phi), (chosen, turns, mirrors), (full, step, one.high),
                (now.gain, now.loss, now.depth, now.phase), rng, place,
            )  # fmt: skip
        _momentum(self.recorded.met_pt, self.recorded.met_phi, chosen, turns, now.gain, rng, met)
        objects = {
            kind: Candidates(place[0], place[1], place[2], one.turn, one.high)
            for kind, one, place in zip(names, tables, out, strict=True)
        }
        return Recorded(objects, met[:, 0].copy(), met[:, 1].copy())


@dataclass(frozen=True)
class State:
    """What is benign about a healthy detector at one moment.

    Attributes:
        gain: Factor of all calorimeter energies and of missing momentum.
        loss: Fraction of objects lost everywhere.
        depth: Fraction lost on top where the azimuthal modulation is deepest.
        phase: Azimuth of that place, radians.
    """

    gain: float = 1.0
    loss: float = 0.0
    depth: float = 0.0
    phase: float = 0.0


@njit(cache=True)
def _choose(
    first: Longs, spread: Floats, rng: np.random.Generator, chosen: Longs, turns: Longs, mirrors: Longs
) -> None:
    most, total = len(first) - 2, first[-1]
    for i in range(len(spread)):
        n = min(rng.poisson(spread[i]), most)
        low, high = first[n], first[n + 1]
        if high <= low:
            low, high = 0, total
        chosen[i] = low + int(rng.random() * (high - low))
        turns[i] = int(rng.random() * 72)
        mirrors[i] = 1 if rng.random() < 0.5 else -1


@njit(cache=True)
def _place(
    table: tuple[Shorts, Shorts, Shorts],
    which: tuple[Longs, Longs, Longs],
    hardware: tuple[int, int, int],
    state: tuple[float, float, float, float],
    rng: np.random.Generator,
    out: Shorts,
) -> None:
    """Copy the chosen crossings' objects, turned, mirrored, scaled, some lost; insertion keeps them in falling pt."""
    pts, etas, phis = table
    chosen, turns, mirrors = which
    full, step, highest = hardware
    gain, loss, depth, phase = state
    muon = full > 144
    chances = np.empty(full)
    for phi in range(full):
        chances[phi] = loss + 0.5 * depth * (1.0 + np.cos(phi * (2.0 * np.pi / full) - phase))
    for i in range(len(chosen)):
        row, n = chosen[i], 0
        for k in range(pts.shape[1]):
            pt = int(pts[row, k])
            if pt == 0:
                break
            phi = (int(phis[row, k]) + step * turns[i]) % full
            chance = chances[phi]
            if chance > 0.0 and rng.random() < chance:
                continue
            if not muon and gain != 1.0:
                pt = min(int((pt + rng.random()) * gain), highest)
            place = n
            while place > 0 and out[0, i, place - 1] < pt:
                for q in range(3):
                    out[q, i, place] = out[q, i, place - 1]
                place -= 1
            out[0, i, place] = pt
            out[1, i, place] = etas[row, k] * mirrors[i]
            out[2, i, place] = phi
            n += 1


@njit(cache=True)
def _momentum(
    pts: Shorts, phis: Shorts, chosen: Longs, turns: Longs, gain: float, rng: np.random.Generator, out: Shorts
) -> None:
    for i in range(len(chosen)):
        pt = int(pts[chosen[i]])
        out[i, 0] = min(int((pt + rng.random()) * gain), 4095) if gain != 1.0 else pt
        out[i, 1] = (int(phis[chosen[i]]) + 2 * turns[i]) % 144


_FIELDS = ("jets", "egs", "muons", "sums", "counts")
