"""Which runs a season's histograms point at, and what must not matter to it."""

import csv
import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import RankingError
from drift.ranking import CAP, RunTable, rank

SUBSYSTEMS = {"calo": range(12), "muon": range(12, 24), "jets": range(24, 36)}


def a_season(seed=1, runs=120, columns=36, *, entries=True):
    """Return runs of very different length: half of the histograms fall with the entries, half rise."""
    rng = np.random.default_rng(seed)
    length = np.exp(rng.normal(0, 1.4, runs))
    counts = length[:, None] * np.exp(rng.normal(8, 1, columns)) * np.exp(rng.normal(0, 0.1, (runs, columns)))
    counting = np.arange(columns) % 2 == 0
    slope = np.where(counting, -1 / 3, 0.3)
    spread = np.where(counting, 0.08, 0.5)
    logs = slope * np.log(counts) + rng.normal(0, 1, columns) + spread * rng.standard_t(6, (runs, columns))
    names = tuple(f"histogram_{k:02d}" for k in range(columns))
    return RunTable(350_000 + np.arange(runs) * 7, names, np.exp(logs), counts if entries else None)


def changed(table, *, values=None, entries=None, runs=None, columns=None):
    return RunTable(
        table.runs if runs is None else runs,
        table.columns if columns is None else columns,
        table.values if values is None else values,
        table.entries if entries is None else entries,
    )


def place_of(ranking, row):
    return int(np.flatnonzero(ranking.order() == row)[0]) + 1


@pytest.mark.parametrize("entries", [True, False])
@pytest.mark.parametrize("subsystem", SUBSYSTEMS)
def test_a_fault_in_one_subsystem_ranks_first_and_names_it(subsystem, entries):
    table = a_season(entries=entries)
    values = table.values.copy()
    values[47, list(SUBSYSTEMS[subsystem])] *= 5

    ranking = rank(changed(table, values=values))

    assert place_of(ranking, 47) == 1
    named = {int(one.column[-2:]) for one in ranking.suspects[47]}
    assert named <= set(SUBSYSTEMS[subsystem])
    assert ranking.suspects[47][0].ratio > 3


def test_a_single_wild_histogram_does_not_outshout_a_subsystem():
    table = a_season()
    values = table.values.copy()
    values[20, 5] *= 1e6
    values[60, :12] *= 5

    ranking = rank(changed(table, values=values))

    assert ranking.suspects[20][0].pull > CAP
    assert place_of(ranking, 60) == 1
    assert place_of(ranking, 20) <= 6


def test_a_fault_of_the_best_known_third_of_the_histograms_is_not_taken_for_the_common_factor():
    table = a_season()
    values = table.values.copy()
    values[33, 0:24:2] *= 3  # those that counting noise alone limits

    ranking = rank(changed(table, values=values))

    assert place_of(ranking, 33) == 1


def test_what_lasts_for_months_is_the_new_normal_and_a_fill_is_not():
    table = a_season(seed=3, runs=200)
    values = table.values.copy()
    values[100:, :6] *= 6
    values[40:44, 12:18] *= 6

    ranking = rank(changed(table, values=values))

    assert {*ranking.order()[:4]} == {40, 41, 42, 43}
    assert float(np.median(ranking.scores[100:])) < 1


@settings(max_examples=12, deadline=None)
@given(row=st.integers(0, 119), factor=st.floats(1e-3, 1e3))
def test_a_factor_common_to_a_whole_run_changes_nothing(row, factor):
    table = a_season()
    values = table.values.copy()
    values[row] *= factor

    before, after = rank(table), rank(changed(table, values=values))

    assert after.scores == pytest.approx(before.scores, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), entries=st.booleans())
def test_the_order_of_rows_and_columns_does_not_matter(seed, entries):
    table = a_season(entries=entries)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(table.runs)), rng.permutation(len(table.columns))

    plain = rank(table)
    mixed = rank(
        RunTable(
            table.runs[rows],
            tuple(table.columns[k] for k in columns),
            table.values[np.ix_(rows, columns)],
            table.entries[np.ix_(rows, columns)] if entries else None,
        )
    )

    assert mixed.scores == pytest.approx(plain.scores[rows], abs=1e-6)
    assert [{one.column for one in mixed.suspects[k]} for k in range(len(rows))] == [
        {one.column for one in plain.suspects[row]} for row in rows
    ]


@pytest.mark.parametrize("entries", [True, False])
def test_the_length_of_a_run_is_no_fault(entries):
    table = a_season(seed=5, runs=250)

    scores = rank(table if entries else changed(a_season(seed=5, runs=250, entries=False))).scores

    size = np.log(table.entries).mean(axis=1)
    assert abs(np.corrcoef(np.argsort(np.argsort(scores)), np.argsort(np.argsort(size)))[0, 1]) < 0.2


def test_missing_cells_and_zeros_are_lived_with():
    table = a_season()
    values = table.values.copy()
    values[np.random.default_rng(2).random(values.shape) < 0.1] = np.nan
    values[3, 4] = 0.0
    values[:, 30] = np.nan
    values[:, 31] = 7.0
    values[80, :12] *= 5

    ranking = rank(changed(table, values=values))

    assert np.isfinite(ranking.scores).all()
    assert ranking.left_out == ("histogram_30", "histogram_31")
    assert place_of(ranking, 80) == 1


def test_ten_runs_are_enough_and_nine_are_not():
    table = a_season(runs=10)
    values = table.values.copy()
    values[4, :12] *= 20

    assert place_of(rank(changed(table, values=values)), 4) == 1
    with pytest.raises(RankingError, match="9 runs are too few"):
        rank(RunTable(table.runs[:9], table.columns, table.values[:9], None))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.runs.__setitem__(1, table.runs[0]), "stands in more than one row"),
        (lambda table: table.values.__setitem__((3, 2), -1.0), "zero or more and finite, found -1"),
        (lambda table: table.entries.__setitem__((3, 2), np.inf), "number of entries"),
        (lambda table: table.values.__setitem__((slice(None), slice(4, None)), 1.0), "only 4 of 36 columns"),
    ],
)
def test_a_table_that_cannot_be_ranked_says_why(spoil, words):
    table = a_season()
    spoil(table)

    with pytest.raises(RankingError, match=words):
        rank(table)


def test_the_runs_of_2022_are_ranked_alike_by_disjoint_sets_of_histograms(shared):
    path = shared / "data/conditions/dqm/AutoDQM_L1T_2022_308runs_chi2prime.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the shared data are not part of the repository")
    with gzip.open(path, "rt") as stream:
        header, *rows = csv.reader(stream)
    cells = np.array([row[3:] for row in rows], dtype=float)
    runs = np.array([row[0] for row in rows], dtype=np.int64)
    families = sorted({name.rsplit("/", 1)[0] for name in header[3:]})
    halves = []
    for parity in (0, 1):
        kept = [
            k for k, name in enumerate(header[3:])
            if name.endswith("_chi2prime") and families.index(name.rsplit("/", 1)[0]) % 2 == parity
        ]  # fmt: skip
        counts = [header[3:].index(header[3 + k].replace("_chi2prime", "_integral")) for k in kept]
        halves.append(rank(RunTable(runs, tuple(header[3 + k] for k in kept), cells[:, kept], cells[:, counts])))
    tops = [{*one.runs[one.order()[:50]]} for one in halves]

    assert np.corrcoef(*(np.argsort(np.argsort(one.scores)) for one in halves))[0, 1] > 0.4
    assert len(tops[0] & tops[1]) > 20  # eight of fifty by chance
