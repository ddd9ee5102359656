"""Gate 1: whether every lumisection learned from is certified."""

from retrain.gates.result import Answer, Evidence, Gate


def data_certified(dataset: Evidence) -> Answer:
    """Every lumisection learned from is certified; silence of the certification is not consent."""
    numbers = {
        name: dataset[name] for name in ("lumisections", "events", "certified", "rejected", "unspoken", "digest")
    }
    if dataset["rejected"]:
        return "fail", f"{len(dataset['rejected'])} lumisections are certified bad: {dataset['rejected'][:5]}", numbers
    if dataset["unspoken"]:
        silent = (
            f"certification has not spoken for {len(dataset['unspoken'])} of {dataset['lumisections']} lumisections"
        )
        return "inconclusive", silent, numbers
    return "pass", f"{dataset['lumisections']} lumisections, {dataset['events']} events, all certified", numbers


GATE = Gate(1, "data_certified", ("dataset",), data_certified)
