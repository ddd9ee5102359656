"""Gate 9: whether the same recipe gives the same bits."""

from retrain.gates.result import Answer, Evidence, Gate


def reproducibility(training: Evidence) -> Answer:
    """A second start of the training ended its first epoch in the same bits."""
    numbers = {name: training[name] for name in ("first_epoch", "first_epoch_again", "graph_again")}
    same = training["first_epoch"] == training["first_epoch_again"] and training["graph_again"] is True
    if not same:
        return "fail", "the same recipe on the same data gave other bits", numbers
    return "pass", f"first epoch repeated to the bit ({str(training['first_epoch'])[:12]}), graph too", numbers


GATE = Gate(9, "reproducibility", ("training",), reproducibility, of_the_network=True)
