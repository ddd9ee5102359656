"""Evidence stays small while all is well, grows when it is not, and says since when."""

import numpy as np
import pytest

from drift.benign import SHIFTS, Benign, Swell
from drift.cells import RATIOS, CellModel
from drift.detect import CELL_WEIGHT, FAMILY_WEIGHTS, RAMP_WEIGHT, Evidence, Weights
from drift.streams import StreamLabel

LABELS = tuple(
    StreamLabel(family, "JET", i, f"{family}{i}") for i, family in enumerate(["scale"] * 4 + ["chi2"] * 4 + ["t2"])
)
FLAT = Benign(np.ones(9), np.full(9, 1e-3), np.full(9, 2e-3), np.full(9, 1.1), Swell.none(9), np.zeros(9))


@pytest.fixture(scope="module")
def cells():
    maps = np.random.default_rng(1).poisson(3.0, (200, 8, 12))
    return (CellModel.fit("JET", maps.sum(axis=2), maps.sum(axis=0), np.full(200, 50.0), 1),)


def run(values, cells, maps, benign=FLAT, fills=()):
    evidence, weights = Evidence.fresh(benign, cells), Weights.of(LABELS, cells)
    logs = []
    for i, (value, one) in enumerate(zip(values, maps, strict=True)):
        if i in fills:
            evidence.new_fill(benign)
        evidence.update(benign, value, 1.0, [cells[0].log_factors(one, 50.0)])
        logs.append(evidence.log_total(weights))
    return np.array(logs), evidence, weights


def healthy(seed, n):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, 9)), rng.poisson(3.0, (n, 8, 12))


def test_the_mixture_never_has_more_than_one_share_in_all(cells):
    weights = Weights.of(LABELS, cells)

    assert sum(FAMILY_WEIGHTS.values()) + RAMP_WEIGHT + CELL_WEIGHT <= 1 + 1e-9
    shared = weights.streams.sum() + weights.ramps.sum() + sum(one.sum() for one in weights.cells) * len(RATIOS)
    assert shared <= 1 + 1e-9
    assert (weights.streams[1, 4:] == 0).all()


def test_the_mean_evidence_after_t_healthy_lumisections_is_at_most_t(cells):
    """The Shiryaev-Roberts sum is a submartingale whose mean is at most the number of starts; ARL >= A follows."""
    final = np.array([np.exp(run(*_with(cells, seed, 30))[0][-1]) for seed in range(60)])

    assert final.mean() < 30


def _with(cells, seed, n):
    values, maps = healthy(seed, n)
    return values, cells, maps


def test_healthy_lumisections_stay_below_a_thirty_day_limit(cells):
    values, maps = healthy(4, 1500)

    assert run(values, cells, maps)[0].max() < 11.6


def test_a_step_in_one_stream_is_seen_and_dated(cells):
    values, maps = healthy(2, 120)
    values[80:, 2] -= 2.0
    logs, evidence, weights = run(values, cells, maps)
    lead = evidence.contributors(weights, LABELS, cells)[0]

    assert logs[79] < 6
    assert logs[92] > 11.6
    assert (lead.name, lead.sign) == ("scale2", -1)
    assert abs(lead.start - 80) <= 3


def test_a_cell_that_falls_silent_is_seen_among_healthy_streams(cells):
    values, maps = healthy(6, 100)
    maps[60:, 2:4, 4:6] = 0
    logs, evidence, weights = run(values, cells, maps)

    assert logs[59] < 6
    assert logs[70] > 11.6
    lead = evidence.contributors(weights, LABELS, cells)[0]
    assert (lead.kind, lead.object, lead.sign) == ("cell", "JET", -1)


def test_a_directed_stream_is_named_before_a_louder_generic_one(cells):
    values, maps = healthy(3, 60)
    values[30:, 1] += 2.5
    values[30:, 6] += 6.0
    _, evidence, weights = run(values, cells, maps)
    parts = evidence.contributors(weights, LABELS, cells)

    assert parts[0].name == "scale1"
    assert max(parts, key=lambda one: one.log_evidence).name == "chi26"


def test_an_offset_of_the_usual_size_at_a_fill_start_is_benign(cells):
    wide = Benign(np.ones(9), np.full(9, 1e-3), np.full(9, 0.5), np.full(9, 1.1), Swell.none(9), np.zeros(9))
    values, maps = healthy(9, 200)
    values[100:] += 0.8
    allowed = run(values, cells, maps, wide, fills=(100,))[0]
    forbidden = run(values, cells, maps, FLAT, fills=(100,))[0]

    assert allowed.max() < 11.6 < forbidden.max()


def test_forgetting_drops_all_evidence_at_once(cells):
    values, maps = healthy(3, 30)
    values += 2
    _, evidence, weights = run(values, cells, maps)
    evidence.forget()

    assert evidence.log_total(weights) < -100


def test_the_alternatives_grow_from_gentle_to_violent():
    assert list(SHIFTS) == sorted(SHIFTS)
