"""What the board promises a network, and what the network promises the board.

A contract fixes the inputs with their units, the offsets and power-of-two shifts, every fixed-point type at a
port, the form of the score, and the budgets.  It is frozen across retrains, so that a new candidate fits the
socket of the old one.  `retrain.preflight` holds it against data.  Nothing here trains, compiles or reads a disk.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from retrain.digest import digest_of
from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint, Integers

Padding = Literal["excluded", "included"]
Features = NDArray[np.int16]

FORMAT = "retrigger-contract/1"
SUM_OF_SQUARES, LARGEST = "sum_of_squares", "largest"
SCORE_RULES = (SUM_OF_SQUARES, LARGEST)
"""How the latent values become the score, before its cast: the sum of their squares, or the largest of them.

The first is the score of an encoder (squares of the latent mean) and of an autoencoder (squares of what its
reconstruction leaves); the second is that of a classifier or a regression, whose only output is the score itself.
"""
_TYPE_FIELDS = ("port", "offset_type", "shift_type", "network_input", "hidden", "latent", "score")


@dataclass(frozen=True)
class InputPort:
    """One input of the network, as it arrives from the trigger.

    Attributes:
        name: As in the trigger's own list, e.g. ``Jet1_pt``.
        object: ``MET``, ``EG``, ``Mu`` or ``Jet``.
        quantity: ``pt``, ``eta`` or ``phi``.
        unit: Of the hardware integer, e.g. ``0.5 GeV``.
        low: Smallest hardware integer.
        high: Largest hardware integer.
        halved: True when the network sees ``hwPt / 2``, with the half kept as a fractional bit.
        offset: Subtracted, in the unit after halving; about the median.
        shift: Bits to the right; about the base-two logarithm of the spread.
    """

    name: str
    object: str
    quantity: str
    unit: str
    low: int
    high: int
    halved: bool
    offset: float = 0.0
    shift: int = 0


@dataclass(frozen=True)
class Budget:
    """Upper limits; every figure held against them before place-and-route is an estimate.

    Attributes:
        latency_ticks: Bunch crossings of 25 ns from input to decision.
        clock_mhz: Clock of the algorithm block; a pipeline stage is one of its periods.
        lut: Look-up tables.
        ff: Flip-flops.
        dsp: Digital signal processors.
    """

    latency_ticks: int = 2
    clock_mhz: float = 240.0
    lut: int = 60_000
    ff: int = 40_000
    dsp: int = 0


@dataclass(frozen=True)
class Contract:
    """The frozen agreement between one slot's firmware socket and every network trained for it.

    The rule for an input is ``network_input((port(x) - offset) >> shift)``: offset, shift and cast are those of
    the C++ types named here, so a truncation in firmware is a truncation everywhere.

    Raises:
        ContractError: A type cannot be parsed or two of them contradict each other.

    References:
        cms-hls4ml/AXOL1TL, ``scales.h``: offsets ``ap_fixed<10,10>``, shifts ``ap_fixed<5,5>``.
    """

    name: str
    inputs: tuple[InputPort, ...]
    padding: Padding = "excluded"
    port: str = "ap_fixed<18,13>"
    offset_type: str = "ap_fixed<10,10>"
    shift_type: str = "ap_fixed<5,5>"
    network_input: str = "ap_fixed<8,6,AP_TRN,AP_SAT>"
    hidden: str = "ap_ufixed<8,4,AP_TRN,AP_SAT>"
    latent: str = "ap_fixed<10,6,AP_TRN,AP_SAT>"
    score: str = "ap_ufixed<18,14,AP_TRN,AP_SAT>"
    score_rule: str = SUM_OF_SQUARES
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ContractError(f"contract {self.name}: no inputs; expected at least one")
        names = [one.name for one in self.inputs]
        if len(set(names)) != len(names):
            raise ContractError(f"contract {self.name}: an input is listed twice")
        types = {name: FixedPoint.parse(getattr(self, name)) for name in _TYPE_FIELDS}
        if types["port"].fraction < 1 and any(one.halved for one in self.inputs):
            raise ContractError(f"contract {self.name}: port {self.port} has no fractional bit for the half of hwPt/2")
        if self.score_rule not in SCORE_RULES:
            raise ContractError(f"contract {self.name}: score rule {self.score_rule!r}; expected one of {SCORE_RULES}")
        if types["hidden"].signed or (types["score"].signed and self.score_rule == SUM_OF_SQUARES):
            raise ContractError(
                f"contract {self.name}: hidden values and a sum of squares are never negative; expected ap_ufixed"
            )
        if types["score"].overflow != "AP_SAT":
            raise ContractError(f"contract {self.name}: score {self.score} wraps; expected AP_SAT")

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the contract."""
        return digest_of(self.to_json())

    def type_of(self, name: str) -> FixedPoint:
        """Return the parsed type of a port named in the contract, e.g. ``latent``."""
        return FixedPoint.parse(getattr(self, name))

    def with_scales(self, offsets: NDArray[np.float64], shifts: NDArray[np.float64], name: str = "") -> Self:
        """Return the contract with other offsets and shifts (one per input, in order); shifts must be whole."""
        if not len(offsets) == len(shifts) == len(self.inputs):
            raise ContractError(
                f"contract {self.name}: {len(offsets)} offsets and {len(shifts)} shifts for {len(self.inputs)} inputs"
            )
        if not all(float(shift).is_integer() for shift in shifts):
            raise ContractError(f"contract {self.name}: a shift is not a whole number of bits")
        inputs = tuple(
            replace(port, offset=float(offset), shift=int(shift))
            for port, offset, shift in zip(self.inputs, offsets, shifts, strict=True)
        )
        return replace(self, name=name or self.name, inputs=inputs)

    def port_raw(self, features: Features) -> Integers:
        """Return what the port carries, raw, for hardware integers of shape ``(n_inputs, n_events)``."""
        kind = self.type_of("port")
        up = np.array([kind.fraction - int(one.halved) for one in self.inputs], np.int64)[:, None]
        return kind.from_raw(features.astype(np.int64) << up, kind.fraction)

    def offsets_raw(self) -> Integers:
        """Return what is subtracted from each input, raw in the port's grid, after the offset's own type."""
        kind, offset_kind = self.type_of("port"), self.type_of("offset_type")
        whole = np.array([math.floor(one.offset * 2.0**offset_kind.fraction) for one in self.inputs], np.int64)
        return offset_kind.from_raw(whole, offset_kind.fraction) << (kind.fraction - offset_kind.fraction)

    def normalised_raw(self, features: Features) -> Integers:
        """Return ``(x - offset) >> shift`` in the port's type, raw, shape ``(n_inputs, n_events)``.

        This is the number that the network is given; the cast to ``network_input`` is its own first layer.
        """
        kind = self.type_of("port")
        centred = kind.from_raw(self.port_raw(features) - self.offsets_raw()[:, None], kind.fraction)
        shifts = np.array([one.shift for one in self.inputs], np.int64)[:, None]
        moved = np.where(shifts >= 0, centred >> np.maximum(shifts, 0), centred << np.maximum(-shifts, 0))
        return kind.from_raw(moved, kind.fraction)

    def network_inputs(self, features: Features) -> NDArray[np.float32]:
        """Return what the network learns from, shape ``(n_events, n_inputs)``, of ``(n_inputs, n_events)`` integers."""
        grid = 2.0 ** -self.type_of("port").fraction
        return np.ascontiguousarray((self.normalised_raw(features) * grid).astype(np.float32).T)

    def to_json(self) -> dict[str, Any]:
        """Return the contract as plain JSON values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "padding": self.padding,
            "rule": "network_input((port(x) - offset) >> shift); x = hwPt/2 with one fractional bit, hwEta, hwPhi",
            "types": {name: getattr(self, name) for name in _TYPE_FIELDS},
            **({} if self.score_rule == SUM_OF_SQUARES else {"score_rule": self.score_rule}),
            "budget": {**vars(self.budget), "status": "estimates until vendor place-and-route"},
            "inputs": [dict(vars(one)) for one in self.inputs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ContractError: The format is unknown, a key is missing or a value has the wrong form.
        """
        if value.get("format") != FORMAT:
            raise ContractError(f"contract has format {value.get('format')!r}; expected {FORMAT!r}")
        try:
            budget = {name: item for name, item in value["budget"].items() if name != "status"}
            return cls(
                name=value["name"],
                inputs=tuple(InputPort(**one) for one in value["inputs"]),
                padding=value["padding"],
                budget=Budget(**budget),
                score_rule=value.get("score_rule", SUM_OF_SQUARES),
                **{name: value["types"][name] for name in _TYPE_FIELDS},
            )
        except (KeyError, TypeError) as error:
            raise ContractError(f"contract cannot be read: {error!r}; expected the form written by to_json") from error


def _ports() -> tuple[InputPort, ...]:
    def of(name: str, prefix: str, top: int, eta: int, phi: int, unit: tuple[str, str]) -> list[InputPort]:
        return [
            InputPort(f"{name}_pt", prefix, "pt", "0.5 GeV", 0, top, halved=True),
            InputPort(f"{name}_eta", prefix, "eta", unit[0], -eta - 1, eta, halved=False),
            InputPort(f"{name}_phi", prefix, "phi", unit[1], 0, phi, halved=False),
        ]

    # eta fields are two's complement, 8 bits (calorimeter) and 9 bits (muon); phi wraps at one turn
    calo = ("hw eta (0.0435)", "hw phi (2 pi / 144)")
    muon = ("hw eta at vertex (0.010875)", "hw phi at vertex (2 pi / 576)")
    out = of("MET", "MET", 4095, 0, 143, calo)
    for prefix, count, top, eta, phi, unit in (
        ("EG", 4, 511, 127, 143, calo),
        ("Mu", 4, 511, 255, 575, muon),
        ("Jet", 10, 2047, 127, 143, calo),
    ):
        for rank in range(1, count + 1):
            out += of(f"{prefix}{rank}", prefix, top, eta, phi, unit)
    return tuple(out)


AXOL1TL_PORTS = _ports()
"""The 57 inputs of AXOL1TL in the trigger's order: MET, four EG, four Mu, ten Jet, each as pt, eta, phi."""


def axol1tl_contract(name: str = "axol1tl") -> Contract:
    """Return the socket of the 57-input anomaly detector with all offsets and shifts at zero.

    Give it scales with `Contract.with_scales`, or derive them from data with `retrain.preflight.derive`.
    """
    return Contract(name=name, inputs=AXOL1TL_PORTS)
