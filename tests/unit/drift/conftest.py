"""A compact stand-in for a detector: pileup, sectors and scales show in it, and it is fast enough for unit tests."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from drift.conditions import Conditions
from drift.events import LumisectionEvents, ObjectColumns
from drift.profile import LumisectionSummary, Summariser
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.specimens import Specimens

ETA_HIGH = {"EG": 127, "MU": 225, "JET": 127}
PHI = {"EG": 144, "MU": 576, "JET": 144}
CANDIDATES = {"EG": 8, "MU": 4, "JET": 12}


@dataclass
class Candidates:
    """pt, eta, phi of one object type, shape (n_events, candidates), before sorting; pt 0 is absent."""

    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray


Fault = Callable[[dict[str, Candidates], np.random.Generator], None]


def _candidates(kind, pileup, n, rng):
    shape = (n, CANDIDATES[kind])
    if kind == "MU":
        pt = np.where(rng.random(shape) < 0.0006 * pileup, 4 + rng.exponential(9.0, shape), 0)
        eta = rng.uniform(-225, 225, shape)
    else:
        slope, base = (9.0, 2.0) if kind == "EG" else (14.0, 4.0)
        there = rng.random(shape) < min(0.95, (0.30 if kind == "EG" else 0.5) + 0.006 * pileup)
        pt = np.where(there, base + rng.exponential(slope + 0.12 * pileup, shape), 0)
        eta = np.clip(rng.normal(0, 55, shape), -120, 120)
    return Candidates(pt, eta, rng.uniform(0, PHI[kind], shape))


def events(run, lumisection, pileup, n, rng, fault: Fault | None = None, gain=1.0) -> LumisectionEvents:
    """Events of one lumisection at one pileup, with a fault if given."""
    found = {kind: _candidates(kind, pileup, n, rng) for kind in CANDIDATES}
    for kind in ("EG", "JET"):
        found[kind].pt *= gain
    if fault is not None:
        fault(found, rng)
    jets = found["JET"]
    angle = jets.phi * (2 * np.pi / 144)
    soft = rng.normal(0, 3.0 * np.sqrt(pileup), (2, n))
    x, y = (-(jets.pt * np.cos(angle)).sum(1) * 0.3 + soft[0], -(jets.pt * np.sin(angle)).sum(1) * 0.3 + soft[1])
    features = np.zeros((57, n), dtype=np.int16)
    features[0] = np.minimum(np.hypot(x, y), 4095).astype(np.int16)
    features[2] = (np.arctan2(y, x) % (2 * np.pi) * 144 / (2 * np.pi)).astype(np.int16) % 144
    objects = {}
    for kind, one in found.items():
        high = 2047 if kind == "JET" else 511
        pt = np.minimum(one.pt, high).astype(np.int16)
        order = np.argsort(-pt, axis=1, kind="stable")
        pt = np.take_along_axis(pt, order, 1)
        eta = np.where(pt > 0, np.rint(np.take_along_axis(one.eta, order, 1)), 0).astype(np.int16)
        phi = np.where(pt > 0, np.take_along_axis(one.phi, order, 1).astype(int) % PHI[kind], 0).astype(np.int16)
        there = pt > 0
        objects[kind] = ObjectColumns(pt[there], eta[there], phi[there])
        for row in AXOL1TL_57.rows(kind):
            feature = AXOL1TL_57.features[row]
            features[row] = {"pt": pt, "eta": eta, "phi": phi}[feature.quantity][:, feature.rank - 1]
    return LumisectionEvents(run, lumisection, features, objects)


def fills(
    seed, n_fills, lumisections, n, *, fault=None, from_lumisection=0, first=1, start=58.0, wander=0.002
) -> Iterator[tuple[LumisectionSummary, Conditions]]:
    """Fills of decaying pileup; the fault, if any, sits on every lumisection from the given one on, counted overall."""
    rng = np.random.default_rng(seed)
    summariser = Summariser(AXOL1TL_57)
    count = 0
    for fill in range(first, first + n_fills):
        gain = 1 + wander * rng.normal()
        for lumisection in range(1, lumisections + 1):
            pileup = start * np.exp(-0.5 * lumisection / lumisections) + rng.normal(0, 0.2)
            active = fault if fault is not None and count >= from_lumisection else None
            one = events(1000 + fill, lumisection, pileup, n, rng, active, gain)
            conditions = Conditions(
                1000 + fill, lumisection, fill, pileup, 2340, "2p0E34", "STABLE BEAMS", True, True, 0.02
            )
            yield summariser.fill(one), conditions
            count += 1


def dead_box(kind="JET", eta=(-68, -30), phi=(108, 124), keep=0.1) -> Fault:
    """Loss of most objects of a type in a box of hardware steps."""

    def fault(found, rng):
        one = found[kind]
        inside = (one.eta >= eta[0]) & (one.eta < eta[1]) & (one.phi >= phi[0]) & (one.phi < phi[1])
        one.pt[inside & (rng.random(one.pt.shape) > keep)] = 0

    return fault


def scaled(kinds=("JET",), factor=1.05) -> Fault:
    """All pt of some types multiplied."""

    def fault(found, rng):
        for kind in kinds:
            found[kind].pt *= factor

    return fault


@pytest.fixture(scope="session")
def toy():
    """This module, for tests that make streams of their own."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def toy_reference() -> Reference:
    """A reference of six fills of sixty lumisections of three hundred events."""
    return Reference.fit(fills(11, 6, 60, 300), AXOL1TL_57)


@pytest.fixture(scope="session")
def toy_library(toy_reference) -> Reference:
    """The same reference with its failure-mode library, replayed on 1 200 events at each of three pileups."""
    rng = np.random.default_rng(17)
    specimens = Specimens(AXOL1TL_57, rng)
    for place, pileup in enumerate(np.linspace(36.0, 57.0, 12)):
        specimens.add(events(1, place + 1, float(pileup), 400, rng), float(pileup))
    groups = specimens.groups(toy_reference.pileup_low, toy_reference.pileup_high)
    return toy_reference.with_library(groups, rng)
