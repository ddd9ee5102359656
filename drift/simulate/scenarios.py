"""Named changes of the detector, the machine and the menu, and where on a timeline each begins.

A scenario is written ``name`` or ``name:key=value:key=value``; several are joined by commas.  Each says what an
observer of the trigger objects, and for the last two of seed counters beside them, should conclude.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from drift.errors import SimulationError
from drift.simulate.detector import Detector
from drift.simulate.grid import region, row_centres
from drift.simulate.timeline import COLUMNS, Fill, Lumisection, prescale_index
from drift.simulate.towers import BeamSpot

Parameters = Mapping[str, float]


class ScenarioError(SimulationError, ValueError):
    """A scenario is unknown or a parameter of it is."""


@dataclass(frozen=True)
class Kind:
    """What a scenario does.

    Attributes:
        sentence: What happens.
        expected: Verdict an observer should reach: ``quiet``, ``broken_detector``, ``real_shift`` or ``transient``.
        defaults: Parameters and their values.
        at_run_start: Whether it can only begin with a run.
        detector: Changes a detector in place, given parameters and severity.
        box: Affected object and eta-phi box (radians), for the truth.
    """

    sentence: str
    expected: str
    defaults: Parameters
    at_run_start: bool = False
    detector: Callable[[Detector, Parameters, float], None] | None = None
    box: Callable[[Parameters], dict[str, object]] | None = None


@dataclass(frozen=True)
class Change:
    """One scenario with its parameters, placed on a timeline.

    Attributes:
        name: Key of `KINDS`.
        parameters: All of them.
        first: Index of the first lumisection affected, counted over all fills.
        full: Index from which its severity is 1.
        last: Index of the last lumisection affected.
    """

    name: str
    parameters: Parameters
    first: int
    full: int
    last: int

    def severity(self, index: int) -> float:
        """Return how far the change has come at a lumisection, 0 to 1."""
        if index < self.first or index > self.last:
            return 0.0
        return 1.0 if index >= self.full else (index - self.first + 1.0) / (self.full - self.first + 1.0)


def _ecal(detector: Detector, p: Parameters, severity: float) -> None:
    eta = np.abs(row_centres())
    shape = np.where(eta < 1.479, 0.25, np.interp(eta, [1.479, 2.5], [0.5, 1.0]))
    shape = np.where(eta > 2.5, 1.6, shape) * (eta < 3.0)
    detector.em_gain *= np.maximum(1.0 - severity * p["f"] * shape, 0.0)[:, None].astype(np.float32)


def _hem(detector: Detector, p: Parameters, severity: float) -> None:
    dead = region(p["eta_low"], p["eta_high"], p["phi_low"], p["phi_high"])
    detector.had_gain[dead] *= np.float32(1.0 - severity * (1.0 - p["gain"]))


def _calo_card(detector: Detector, p: Parameters, severity: float) -> None:
    dead = region(-3.0, 3.0, p["phi_low"], p["phi_low"] + np.radians(p["width_degrees"]))
    detector.em_gain[dead] *= np.float32(1.0 - severity)
    detector.had_gain[dead] *= np.float32(1.0 - severity)


def _hot_tower(detector: Detector, p: Parameters, severity: float) -> None:
    detector.em_noise_gev[int(p["row"]), int(p["column"])] += np.float32(severity * p["sigma_gev"])


def _hf_noise(detector: Detector, p: Parameters, severity: float) -> None:
    detector.had_noise_gev[np.abs(row_centres()) > 3.0] += np.float32(severity * p["sigma_gev"])


def _jet_lut(detector: Detector, p: Parameters, severity: float) -> None:
    detector.jet_scale *= 1.0 + severity * (p["scale"] - 1.0)


def _csc(detector: Detector, p: Parameters, severity: float) -> None:
    detector.muon_efficiency[4 if p["side"] > 0 else 0, int(p["sector"])] *= np.float32(1.0 - severity)


def _beam_spot(detector: Detector, p: Parameters, severity: float) -> None:
    if severity > 0:
        detector.beam_spot = BeamSpot(z_m=p["z_cm"] / 100.0, x_m=p["x_mm"] / 1000.0)


def _box(name: str, eta: tuple[str, str] | tuple[float, float], phi: tuple[float, float]) -> dict[str, object]:
    return {"object": name, "eta": list(eta), "phi": list(phi)}


def _tower_box(p: Parameters) -> dict[str, object]:
    eta, phi = float(row_centres()[int(p["row"])]), (p["column"] + 0.5) * np.pi / 36
    return _box("EG", (eta - 0.05, eta + 0.05), (phi - 0.05, phi + 0.05))


def _sector_box(p: Parameters) -> dict[str, object]:
    eta = (1.24, 2.45) if p["side"] > 0 else (-2.45, -1.24)
    return _box("MU", eta, (p["sector"] * np.pi / 6, (p["sector"] + 1) * np.pi / 6))


_HEM = {"eta_low": -2.964, "eta_high": -1.305, "phi_low": -1.571, "phi_high": -0.873, "gain": 0.0}
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "none": Kind("nothing but benign wander", "quiet", {}),
        "pu_step": Kind(
            "levelling target moves: +up in one fill, -down in the next, in turn", "quiet", {"up": 5.0, "down": 10.0}
        ),
        "ps_column": Kind("operators run with a prescale column for lower luminosity", "quiet", {"steps": 2.0}),
        "menu_change": Kind("a new menu adds and removes algorithm bits", "quiet", {}, at_run_start=True),
        "ecal_transparency": Kind(
            "crystals lose light: f in the endcap at 2.5, a quarter of it in the barrel",
            "real_shift",
            {"f": 0.10, "fills": 1.0},
            detector=_ecal,
        ),
        "hem1516": Kind(
            "two endcap sectors of the hadron calorimeter lose power",
            "broken_detector",
            _HEM,
            at_run_start=True,
            detector=_hem,
            box=lambda p: _box("JET", (p["eta_low"], p["eta_high"]), (p["phi_low"], p["phi_high"])),
        ),
        "calo_card": Kind(
            "a layer-1 card of the calorimeter trigger goes silent",
            "broken_detector",
            {"phi_low": 1.0472, "width_degrees": 20.0},
            detector=_calo_card,
            box=lambda p: _box("JET", (-3.0, 3.0), (p["phi_low"], p["phi_low"] + np.radians(p["width_degrees"]))),
        ),
        "hot_tower": Kind(
            "one barrel tower is noisy for a while",
            "transient",
            {"sigma_gev": 15.0, "row": 47.0, "column": 20.0, "duration": 20.0},
            detector=_hot_tower,
            box=_tower_box,
        ),
        "hf_noise": Kind(
            "the forward calorimeter is noisy all round",
            "broken_detector",
            {"sigma_gev": 1.2},
            detector=_hf_noise,
            box=lambda _: _box("JET", (-5.191, 5.191), (0.0, 2 * np.pi)),
        ),
        "jet_lut": Kind(
            "the jet energy look-up table is replaced",
            "real_shift",
            {"scale": 1.03},
            at_run_start=True,
            detector=_jet_lut,
        ),
        "csc_sector": Kind(
            "a 30 degree sector of the endcap muon system is off",
            "broken_detector",
            {"side": 1.0, "sector": 4.0},
            detector=_csc,
            box=_sector_box,
        ),
        "beamspot_shift": Kind("the collision point moves", "quiet", {"z_cm": 3.0, "x_mm": 3.0}, detector=_beam_spot),
        "seed_rate": Kind(
            "one seed counts by a factor more than its prescale says", "broken_detector", {"factor": 1.3}
        ),
        "luminosity": Kind(
            "luminosity is published too high: all counters fall behind it", "broken_detector", {"factor": 0.9}
        ),
    }
)


def parse(text: str) -> tuple[tuple[str, Parameters], ...]:
    """Return the scenarios of ``name:key=value,name`` with every parameter filled in.

    Raises:
        ScenarioError: A name, a key or a value is not understood; the nearest known one is named.
    """
    chosen = []
    for part in text.split(","):
        name, *settings = [piece.strip() for piece in part.split(":")]
        if name not in KINDS:
            raise ScenarioError(f"scenario {name!r} is unknown; {_nearest(name, KINDS)}")
        parameters = dict(KINDS[name].defaults)
        for setting in settings:
            key, _, value = setting.partition("=")
            if key not in parameters:
                raise ScenarioError(f"scenario {name}: parameter {key!r} is unknown; {_nearest(key, parameters)}")
            try:
                parameters[key] = float(value)
            except ValueError:
                raise ScenarioError(f"scenario {name}: {key}={value!r} is not a number") from None
        chosen.append((name, MappingProxyType(parameters)))
    return tuple(chosen)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    listed = f"known: {', '.join(known)}" if known else "it takes none"
    return f"did you mean {close[0]!r}? {listed}" if close else listed


def place(text: str, fills: Sequence[Fill], seed: int) -> tuple[Change, ...]:
    """Return the changes of a scenario at random places: in fills 3 to 6, or in the second half of a shorter stream."""
    changes = []
    for order, (name, parameters) in enumerate(parse(text)):
        rng = np.random.default_rng([seed, 2, order])
        if name == "none":
            continue
        first = _change_point(fills, KINDS[name].at_run_start, int(parameters.get("fills", 0)), rng)
        last = sum(len(fill.lumisections) for fill in fills) - 1
        full = first
        if name == "ecal_transparency":
            full = first + round(parameters["fills"] * len(fills[0].lumisections)) - 1
        if "duration" in parameters:
            last = min(last, first + int(parameters["duration"]) - 1)
        changes.append(Change(name, parameters, first, max(full, first), last))
    return tuple(changes)


def _change_point(fills: Sequence[Fill], at_run_start: bool, ramp_fills: int, rng: np.random.Generator) -> int:
    lengths = [len(fill.lumisections) for fill in fills]
    low, high = (2, min(6, len(fills))) if len(fills) >= 4 else (len(fills) // 2, len(fills))
    chosen = int(rng.integers(low, max(low + 1, high - ramp_fills)))
    before = sum(lengths[:chosen])
    if not at_run_start:
        inside = lengths[chosen]
        begin = inside // 2 if len(fills) == 1 else inside // 6
        return before + int(rng.integers(begin, max(begin + 1, 5 * inside // 6)))
    starts = [before + k for k, ls in enumerate(fills[chosen].lumisections) if ls.number == 1]
    return starts[int(rng.integers(len(starts)))]


def apply(fills: Sequence[Fill], changes: Sequence[Change]) -> tuple[Fill, ...]:
    """Return the timeline with severities set and with what changes do to pileup, columns and menu."""
    index, changed = 0, []
    for fill in fills:
        lumisections = []
        for lumisection in fill.lumisections:
            after = lumisection
            for change in changes:
                after = _touch(after, change, index, fills)
            lumisections.append(after)
            index += 1
        changed.append(replace(fill, lumisections=tuple(lumisections)))
    return tuple(changed)


def _touch(lumisection: Lumisection, change: Change, index: int, fills: Sequence[Fill]) -> Lumisection:
    severity = change.severity(index)
    if severity == 0.0:
        return lumisection
    after = replace(lumisection, severity={**lumisection.severity, change.name: severity})
    if change.name == "menu_change":
        return replace(after, menu="v1_1_0")
    if change.name == "ps_column":
        column = min(after.prescale_index + int(change.parameters["steps"]), len(COLUMNS) - 1)
        return replace(after, prescale_index=column, prescale_name=COLUMNS[column])
    if change.name == "pu_step":
        turn = lumisection.fill - fills[0].number
        shift = change.parameters["up"] if turn % 2 == 0 else -change.parameters["down"]
        factor = 1.0 + shift / 61.5
        after = replace(after, pileup=after.pileup * factor, measured_pileup=after.measured_pileup * factor)
        column = prescale_index(after.luminosity_1e30)
        return replace(after, prescale_index=column, prescale_name=COLUMNS[column])
    return after


def detector_of(lumisection: Lumisection, parameters: Mapping[str, Parameters]) -> Detector:
    """Return the detector as it is during a lumisection.

    Args:
        lumisection: Carries benign wander and the severity of each change.
        parameters: Parameters of each change, by name.
    """
    detector = Detector()
    detector.em_gain *= np.float32(1.0 + lumisection.em_wander)
    detector.had_gain *= np.float32(1.0 + lumisection.had_wander)
    for name, severity in lumisection.severity.items():
        edit = KINDS[name].detector
        if edit is not None:
            edit(detector, parameters[name], severity)
    return detector
