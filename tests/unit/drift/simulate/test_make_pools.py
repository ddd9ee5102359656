"""The script that makes the particle pools anew: its codes, its cuts and its files agree with what is loaded."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.simulate import make_pools, pools

_PT_STEP = np.log(40_000.0) / 1023.0


def test_it_makes_exactly_the_pools_that_are_loaded():
    names = {recipe.name for recipe in make_pools.RECIPES}

    assert names == {pools.MINIMUM_BIAS, *pools.SLICES, *pools.SIGNALS}


def test_it_makes_as_many_events_as_are_shipped():
    for recipe in make_pools.RECIPES:
        shipped = pools.load_pool(recipe.name)

        assert shipped.events == recipe.events, recipe.name


def test_the_slices_take_over_where_minimum_bias_is_cut():
    minimum_bias = next(r for r in make_pools.RECIPES if r.name == pools.MINIMUM_BIAS)
    first = next(r for r in make_pools.RECIPES if r.name == next(iter(pools.SLICES)))

    assert minimum_bias.below_gev == make_pools.TAIL_FROM_GEV
    assert f"PhaseSpace:pTHatMin = {make_pools.TAIL_FROM_GEV:.0f}" in first.settings


def test_the_kinds_carry_the_codes_that_the_projection_reads():
    kinds = {
        (22, 0.0): pools.PHOTON,
        (211, 1.0): pools.PION,
        (-211, -1.0): pools.PION | pools.NEGATIVE,
        (321, 1.0): pools.KAON,
        (2212, 1.0): pools.CHARGED,
        (-3112, 1.0): pools.CHARGED,
        (2112, 0.0): pools.NEUTRAL,
        (130, 0.0): pools.NEUTRAL,
        (13, -1.0): pools.MUON | pools.NEGATIVE,
        (-11, 1.0): pools.ELECTRON,
    }

    assert {given: make_pools.kind_of(*given) for given in kinds} == kinds


@settings(max_examples=50, deadline=None)
@given(
    pt=st.floats(0.2, 3000.0),
    eta=st.floats(-5.24, 5.24),
    phi=st.floats(-np.pi, np.pi),
)
def test_what_is_written_is_read_back_within_half_a_step(tmp_path_factory, pt, eta, phi):
    folder = tmp_path_factory.mktemp("pool")
    columns = make_pools.encode([(pt, eta, phi, pools.PION)])
    pq.write_table(pa.table({name: pa.array([values]) for name, values in columns.items()}), folder / "one.parquet")

    pool = pools.load_pool("one", folder)

    turn = (pool.phi[0] - phi + np.pi) % (2 * np.pi) - np.pi
    assert abs(np.log(pool.pt[0] / pt)) <= 0.5001 * _PT_STEP
    assert abs(pool.eta[0] - eta) <= 0.00501
    assert abs(turn) <= 0.5001 * 2 * np.pi / 1024
    assert pool.kind[0] == pools.PION


def test_an_event_without_visible_particles_is_kept_as_an_empty_list():
    columns = make_pools.encode([])

    assert {name: len(values) for name, values in columns.items()} == {"pt": 0, "eta": 0, "phi": 0, "kind": 0}


def test_the_shipped_pools_obey_the_cuts_of_the_script():
    for recipe in make_pools.RECIPES:
        pool = pools.load_pool(recipe.name)
        kind = pool.kind & 127
        charged = (kind != pools.PHOTON) & (kind != pools.NEUTRAL)
        slow = pool.pt * np.exp(0.5 * _PT_STEP)  # the largest pt that was rounded to this one
        inside = np.abs(pool.eta) < make_pools.TRACKING_ETA - 0.005

        assert slow[kind == pools.PHOTON].min() >= make_pools.LEAST_PHOTON_PT_GEV
        assert slow[kind == pools.NEUTRAL].min() >= make_pools.LEAST_NEUTRAL_HADRON_PT_GEV
        assert slow[charged].min() >= make_pools.LEAST_FORWARD_CHARGED_PT_GEV
        assert slow[charged & inside].min() >= make_pools.LEAST_CHARGED_PT_GEV
        assert np.abs(pool.eta).max() <= make_pools.LARGEST_ETA


def test_without_pythia_it_says_how_to_get_it(tmp_path, capfd):
    status = make_pools.main(["--out", str(tmp_path), "--only", "qcd20", "--events", "1", "--workers", "1"])

    assert status == 2
    assert "make pools" in capfd.readouterr().err
    assert list(Path(tmp_path).iterdir()) == []
