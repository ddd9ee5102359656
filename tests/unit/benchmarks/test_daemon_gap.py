"""The gap of the daemon's loop is counted where it reaches into a phase, also over its edges."""

import pytest

from benchmarks.daemon_gap import longest_ms


@pytest.mark.parametrize(
    ("begin", "end", "longest"), [(0.0, 1.0, 1500.0), (0.0, 0.4, 500.0), (2.1, 2.2, 100.0), (9.0, 10.0, 0.0)]
)
def test_a_gap_counts_in_every_phase_that_it_reaches_into(begin, end, longest):
    assert longest_ms([0.0, 0.5, 2.0, 2.1, 2.2], begin, end) == pytest.approx(longest)
