"""What must hold whatever happens, and whenever the daemon is killed.

`Experiment` checks each write of the board by its own reading of the facts; here Hypothesis drives it at random.
"""

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage

from tests.unit.daemon.lifecycle_machine import AnExperiment

TestAnExperiment = AnExperiment.TestCase
TestAnExperiment.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    phases=[Stage.explicit, Stage.reuse, Stage.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
