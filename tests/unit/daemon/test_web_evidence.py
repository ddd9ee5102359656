"""What an approver reads of a working point is what the bundle's evidence says."""

from typing import Any

from daemon.web.evidence import physics
from retrain.errors import BundleAlteredError


class Told:
    """A bundle with nothing but evidence."""

    def __init__(self, **evidence: Any) -> None:
        self._evidence = evidence

    def evidence(self, name: str) -> Any:
        if name not in self._evidence:
            raise BundleAlteredError(name)
        return self._evidence[name]


def rate(value: float) -> dict[str, float]:
    return {"rate_hz": value, "low_hz": 0.9 * value, "high_hz": 1.1 * value}


def rows(**evidence: Any) -> dict[str, tuple[str, str]]:
    bundle: Any = Told(**evidence)
    return {name: (own, old) for name, own, old in physics(bundle)}


def test_a_pure_rate_stands_beside_the_total_one_and_is_not_taken_for_it():
    point = {**rate(1.5e5), "rate": "pure", "total": rate(9e5), "threshold": 428, "passing": 184, "events": 30_000}

    found = rows(working_point=point)

    assert found["Pure rate"][0].startswith("150 kHz")
    assert found["Total rate"][0].startswith("900 kHz")


def test_a_total_rate_has_no_pure_row():
    assert "Pure rate" not in rows(working_point={**rate(1.5e5), "threshold": 1, "passing": 1, "events": 2})


def test_every_signal_is_shown_with_both_efficiencies_where_there_is_a_champion():
    own, old = {"fraction": 0.0302, "low": 0.023, "high": 0.039}, {"fraction": 0.5862, "low": 0.56, "high": 0.61}
    signals = [{"name": "ZToMuMu", "candidate": own, "champion": old}, {"name": "TTbar", "candidate": old}]

    found = rows(working_point={**rate(4e5), "threshold": 403}, comparison={"signals": signals})

    assert found["ZToMuMu kept at one rate"] == ("3.0 % (2.3 to 3.9)", "58.6 % (56.0 to 61.0)")
    assert found["TTbar kept at one rate"][1] == ""


def test_a_fault_that_is_seen_less_is_named_so_with_both_figures():
    own, old = ({"area": area, "low": area - 0.01, "high": area + 0.01, "shift": 0.004} for area in (0.51, 0.58))
    seen = {"name": "gain_jet=0.1", "candidate": own, "champion": old, "verdict": "less"}
    alone = {"name": "met_mixed=1", "candidate": own}

    found = rows(working_point={**rate(4e5), "threshold": 403}, faults={"faults": [seen, alone]})

    less = found["Fault gain_jet=0.1: scores above healthy ones, SEEN LESS"]
    assert less == ("51.00 % (50.00 to 52.00), passing +0.40 %", "58.00 % (57.00 to 59.00), passing +0.40 %")
    assert found["Fault met_mixed=1: scores above healthy ones"][1] == ""


def test_both_rates_stand_beside_each_other_on_new_data():
    played = {"name": "rate", "steps": 24, "candidate": 0.123, "champion": 0.4}

    found = rows(working_point={**rate(4e5), "threshold": 403}, gain={"measures": [played, {"name": "TTbar"}]})

    assert found["Rate off its target, 24 blocks of new data"] == ("12.3 %", "40.0 %")
