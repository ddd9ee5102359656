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
