"""The conditions that a simulated stream brings, read back by the part that joins them."""

import pytest

from drift.conditions import ConditionsTable
from drift.simulate.timeline import make_timeline

FILLS, SEED, FIRST_FILL, LUMISECTIONS = 2, 1, 10_001, 12  # as the fixture `simulated_fills` is made


def test_the_join_says_of_each_lumisection_what_the_timeline_meant(simulated_fills):
    table = ConditionsTable.load(simulated_fills.conditions)

    for fill in make_timeline(FILLS, SEED, FIRST_FILL, LUMISECTIONS):
        for meant in fill.lumisections:
            said = table.at(meant.run, meant.number)
            assert said is not None
            assert said.pileup == pytest.approx(meant.measured_pileup, abs=0.06)
            assert said.dead_time == pytest.approx(meant.dead_time, abs=1e-5)
            assert (said.fill, said.bunches, said.prescale_column, said.dcs_ok, said.certified) == (
                meant.fill,
                meant.bunches,
                meant.prescale_name,
                meant.dcs_ok,
                meant.certified,
            )


def test_the_join_finds_no_gap_and_no_conflict(simulated_fills):
    counts = ConditionsTable.load(simulated_fills.conditions).counts

    assert (counts.gaps, counts.conflicts) == (0, 0)
