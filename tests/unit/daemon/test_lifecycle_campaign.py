"""The same laws over a million steps: `make laws` counts and prints them, and what they reached."""

import os
import sys
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis.stateful import run_state_machine_as_test

from daemon.lifecycle import Phase
from tests.unit.daemon import lifecycle_machine as machine

STEPS = int(os.environ.get("RETRIGGER_LAW_STEPS", "1000000"))
BATCH = settings(
    max_examples=500,
    stateful_step_count=50,
    deadline=None,
    database=None,
    phases=[Stage.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_million_steps_break_no_law():
    machine.steps_taken[0], began = 0, time.monotonic()
    while machine.steps_taken[0] < STEPS:
        run_state_machine_as_test(machine.AnExperiment, settings=BATCH)
        steps, seconds = machine.steps_taken[0], time.monotonic() - began
        sys.__stderr__.write(f"{steps} steps, 0 laws broken, {1e3 * seconds / steps:.2f} ms a step\n")
        sys.__stderr__.flush()

    assert machine.steps_taken[0] >= STEPS
    assert machine.reached == set(Phase)
