"""Whether a firmware contract fits the data it will meet.

The shipped history of AXOL1TL shows what goes wrong: offset and shift arrays swapped, shifts that overflow
their type, transverse momenta in the wrong unit by two, a padding convention changed in silence.  Each is
looked for by name.  A breach is told from what merely moves: pileup and years change medians by less than a few
spreads, and change jets more than electrons and muons, whereas a unit is wrong for every object alike.  One finding
does not hide another: behind a swap, a wrong unit or a wrong padding the rest is judged as if that were mended.
Pure: a contract and an array in, findings out.

References:
    cms-hls4ml/AXOL1TL, ``scales.h`` of v3.0.2, v4.0.0, v5.0.1, v6.0.0 to v6.0.2.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features, Padding
from retrain.errors import ContractError
from retrain.spreads import MEASURED, MINIMUM_PRESENT, Spread, derive, present_in, row_of, spread_of
from retrain.structure import Finding, check_structure, from_scales, impossible, untangled

OFFSET_TOLERANCE = {"pt": 2.5}  # of the spread between median and offset; years and pileup 20 to 65 stay below
ANGLE_TOLERANCE = 0.75
SHIFT_TOLERANCE_BITS = {"eta": 2.5, "pt": 2.5}  # pileup 20 to 65 is one bit of it; where in eta objects lie, two
OTHER_TOLERANCE_BITS = 1.5
SATURATION_LIMIT = 0.05  # of events at the rail of the network's input
PILEUP_BITS = {"MET": 0.75, "EG": 0.55, "Mu": 0.0, "Jet": 1.0}
"""By how many bits the median momentum of each kind of object grows from pileup 20 to 60 (simulated zero bias)."""
PILEUP_RIDGE = 0.18  # scatter of 0.3 bits about a pileup that is another by 0.7 bits, squared
UNIT_FINE_BITS = 0.85  # healthy scales fit -0.1 to 0.7 on simulated zero bias, whose muons are softer than real ones
UNIT_COARSE_BITS = -0.6
UNIT_LEAST_BITS = 0.5  # without muons, which pileup leaves alone, every kind must show it
UNIT_INPUTS = 3
ALWAYS_THERE = 0.9  # share of events above which counting absent objects changes no median by much
OFTEN_ABSENT = 0.6
TELLING = 3  # objects that must tell before a padding convention is called another
PRESENCE_TOLERANCE = 0.15


def check_contract(contract: Contract, features: Features) -> tuple[Finding, ...]:
    """Return every reason to refuse a contract for these data; an empty tuple when it fits.

    Args:
        contract: With its offsets and shifts.
        features: Recent zero-bias events in hardware integers, shape ``(n_inputs, n_events)``.

    Raises:
        ContractError: The array has another number of inputs than the contract, or no event.
    """
    if features.ndim != 2 or features.shape[0] != len(contract.inputs) or features.shape[1] == 0:
        raise ContractError(
            f"contract {contract.name}: features have shape {features.shape}; expected ({len(contract.inputs)}, n > 0)"
        )
    out = [*check_structure(contract), *_ranges(contract, features)]
    mended = untangled(contract)
    if padding := _padding(mended, features):
        out.append(padding)
        mended = replace(mended, padding=_other(mended.padding))
    seen = _Seen.of(mended, features)
    ratios = _unit_ratios(mended, seen)
    if bits := _unit_bits(ratios):
        out.append(_unit(bits, ratios))
        mended = _in_unit(mended, bits)
    return (*out, *_scales(mended, seen), *_saturation(mended, features))


def remarks(contract: Contract, features: Features) -> tuple[str, ...]:
    """Return what a person should know of a contract that is not refused for it, one sentence each.

    An offset that its type truncates; muons too few to tell a unit by; and, where absent objects count, objects that
    are there more or less often than the offsets were made for, and those that are absent so often that their scale
    is that of zeros and saturates.
    """
    kind = contract.type_of("offset_type")
    cut = [port.name for port in contract.inputs if not (port.offset * 2.0**kind.fraction).is_integer()]
    out = [f"{', '.join(cut)}: {contract.offset_type} truncates the offset"] if cut else []
    steady = {port.object for port in contract.inputs if PILEUP_BITS.get(port.object) == 0.0}
    if steady - set(_unit_ratios(contract, _Seen.of(contract, features))):
        out.append(
            f"no momentum of {', '.join(sorted(steady))} can be compared, of which pileup would change nothing: "
            "a unit wrong by two may go unseen, give more events"
        )
    if contract.padding == "excluded":
        return tuple(out)
    for index, port in enumerate(contract.inputs):
        declared = _declared_presence(contract, index)
        if port.quantity != "pt" or declared is None:
            continue
        found = float(present_in(contract, features, index).mean())
        if abs(found - declared) > PRESENCE_TOLERANCE:
            stem = port.name.removesuffix("_pt")
            out.append(f"{stem} is there in {found:.0%} of events; its offsets were made for {declared:.0%}")
    for name, share in _saturated(contract, features).items():
        index = next(row for row, port in enumerate(contract.inputs) if port.name == name)
        if share > SATURATION_LIMIT and _scale_of_zeros(contract, index):
            out.append(f"{name} saturates in {share:.1%} of events; its scale is that of an object mostly absent")
    return tuple(out)


@dataclass(frozen=True)
class _Seen:
    """Spread of every input, and which of them may be compared with offset and shift."""

    spreads: tuple[Spread, ...]
    comparable: tuple[bool, ...]

    @classmethod
    def of(cls, contract: Contract, features: Features) -> "_Seen":
        spreads = tuple(spread_of(contract, features, index) for index in range(len(contract.inputs)))
        bad = impossible(contract)
        comparable = tuple(
            spread.present >= MINIMUM_PRESENT
            and port.quantity in MEASURED
            and port.name not in bad
            and (contract.padding == "excluded" or _always(contract, features, index))
            for index, (port, spread) in enumerate(zip(contract.inputs, spreads, strict=True))
        )
        return cls(spreads, comparable)


def _always(contract: Contract, features: Features, index: int) -> bool:
    """Whether an object is there so often, in the data and as declared, that counting its absence matters little."""
    declared = _declared_presence(contract, index)
    found = float(present_in(contract, features, index).mean())
    return found >= ALWAYS_THERE and (declared is None or declared >= ALWAYS_THERE)


def _declared_presence(contract: Contract, index: int) -> float | None:
    """Return in which share of events an object was there, by its azimuth offset, when absent ones count as zero.

    Azimuths are flat, so a median below the middle of the range is due to zeros: with presence p the median is where
    ``1 - p + p F = 1/2``.
    """
    row = row_of(contract, index, "phi")
    if row is None:
        return None
    port = contract.inputs[row]
    place = min(max((port.offset - port.low) / (port.high - port.low), 0.0), 0.5)
    return 0.5 / (1.0 - place)


def _scale_of_zeros(contract: Contract, index: int) -> bool:
    declared = _declared_presence(contract, index)
    return contract.padding == "included" and declared is not None and declared < OFTEN_ABSENT


def _other(padding: Padding) -> Padding:
    return "included" if padding == "excluded" else "excluded"


def _ranges(contract: Contract, features: Features) -> list[Finding]:
    lows, highs = features.min(axis=1), features.max(axis=1)
    return [
        Finding(
            f"{port.name} hardware integer",
            f"{low} to {high}",
            f"{port.low} to {port.high}",
            f"unit {port.unit}; the port never sends such a value",
        )
        for port, low, high in zip(contract.inputs, lows, highs, strict=True)
        if low < port.low or high > port.high
    ]


def _padding(contract: Contract, features: Features) -> Finding | None:
    """Look at the azimuths of objects that are often absent: their median is mid-range only if absence is not counted.

    The offsets alone say how they were made; the data say which objects can tell.
    """
    told: list[bool] = []
    for index, port in enumerate(contract.inputs):
        if port.quantity != "phi" or port.name in impossible(contract):
            continue
        share = float(present_in(contract, features, index).mean())
        declared = _declared_presence(contract, index)
        assert declared is not None
        if contract.padding == "excluded":
            if share < ALWAYS_THERE or declared < ALWAYS_THERE:
                told.append(declared < ALWAYS_THERE)
        elif share < ALWAYS_THERE - PRESENCE_TOLERANCE:
            told.append(declared > 1.0 - PRESENCE_TOLERANCE / 2)
    votes = sum(told)
    if votes < TELLING or votes < 0.5 * len(told):
        return None
    return Finding(
        "padding",
        f"offsets as if absent objects were {_other(contract.padding)}",
        contract.padding,
        f"azimuth offsets of {votes} of the {len(told)} objects that can tell",
    )


def _unit_ratios(contract: Contract, seen: _Seen) -> dict[str, list[float]]:
    """Return log2 of offset over median for every momentum that is measured, by kind of object."""
    kinds: dict[str, list[float]] = {}
    for port, spread, usable in zip(contract.inputs, seen.spreads, seen.comparable, strict=True):
        if port.quantity == "pt" and usable and spread.median >= 2.0 and port.offset > 0:
            kinds.setdefault(port.object, []).append(math.log2(port.offset / spread.median))
    return kinds


def _unit_bits(ratios: dict[str, list[float]]) -> int:
    """Return 1 or -1 if the unit of the momenta is wrong by two, else 0.

    The kinds' ratios are fitted as unit plus pileup (ridge on pileup), so that a fill at half the pileup is no unit.
    """
    if sum(map(len, ratios.values())) < UNIT_INPUTS or len(ratios) < 2:
        return 0
    found = np.array([float(np.median(one)) for one in ratios.values()])
    follows = np.array([PILEUP_BITS.get(kind, 1.0) for kind in ratios])
    design = np.stack([np.ones(len(found)), follows], axis=1)
    unit = float(np.linalg.solve(design.T @ design + np.diag([0.0, PILEUP_RIDGE]), design.T @ found)[0])
    steady = min(follows) == 0.0
    if unit >= UNIT_FINE_BITS and (steady or found.min() >= UNIT_LEAST_BITS):
        return 1
    if unit <= (UNIT_COARSE_BITS if steady else -UNIT_FINE_BITS) and (steady or found.max() <= -UNIT_LEAST_BITS):
        return -1
    return 0


def _unit(bits: int, ratios: dict[str, list[float]]) -> Finding:
    told = ", ".join(f"{kind} {2.0 ** float(np.median(one)):.2f}" for kind, one in ratios.items())
    return Finding(
        "pt unit",
        f"offsets about {2.0**bits:g} times the medians, whatever the pileup",
        "offsets about the medians of hwPt/2, in GeV",
        f"offset over median by kind: {told}; half-GeV hwPt and hwPt/2 were taken for each other",
    )


def _in_unit(contract: Contract, bits: int) -> Contract:
    """Return the contract with its momenta's scales in the other unit."""
    inputs = tuple(
        replace(port, offset=port.offset * 2.0**-bits, shift=port.shift - bits) if port.quantity == "pt" else port
        for port in contract.inputs
    )
    return replace(contract, inputs=inputs)


def _scales(contract: Contract, seen: _Seen) -> list[Finding]:
    out: list[Finding] = []
    for port, spread, usable in zip(contract.inputs, seen.spreads, seen.comparable, strict=True):
        if not usable:
            continue
        evidence = f"{spread.present} values, median {spread.median:g}, interquartile range {spread.quartiles:g}"
        scale = max(spread.quartiles, 2.0 ** min(port.shift, 16), 1.0)
        if abs(spread.median - port.offset) > OFFSET_TOLERANCE.get(port.quantity, ANGLE_TOLERANCE) * scale:
            out.append(Finding(f"{port.name}.offset", f"{port.offset:g}", f"about {spread.median:g}", evidence))
        if spread.quartiles <= 0:
            continue
        ideal = math.log2(spread.quartiles)
        if abs(port.shift - ideal) > SHIFT_TOLERANCE_BITS.get(port.quantity, OTHER_TOLERANCE_BITS):
            out.append(Finding(f"{port.name}.shift", str(port.shift), f"about {ideal:.1f}", evidence))
    return out


def _saturation(contract: Contract, features: Features) -> list[Finding]:
    shares = _saturated(contract, features)
    return [
        Finding(
            f"{port.name} network input",
            f"{shares[port.name]:.1%} of events saturate",
            f"at most {SATURATION_LIMIT:.0%}",
            f"{contract.network_input} after offset {port.offset:g} and shift {port.shift}",
        )
        for index, port in enumerate(contract.inputs)
        if shares.get(port.name, 0.0) > SATURATION_LIMIT and not _scale_of_zeros(contract, index)
    ]


def _saturated(contract: Contract, features: Features) -> dict[str, float]:
    """Return the share of events at a rail of the network's input, by name, for each input whose scale is possible."""
    kind, port_kind = contract.type_of("network_input"), contract.type_of("port")
    bad = impossible(contract)
    neutral = tuple(replace(port, offset=0.0, shift=0) if port.name in bad else port for port in contract.inputs)
    raw = replace(contract, inputs=neutral).normalised_raw(features)
    low, high = (rail * 2.0 ** (port_kind.fraction - kind.fraction) for rail in (kind.low, kind.high + 1))
    shares: NDArray[np.float64] = ((raw < low) | (raw >= high)).mean(axis=1)
    return {
        port.name: float(share) for port, share in zip(contract.inputs, shares, strict=True) if port.name not in bad
    }


__all__ = ["Finding", "check_contract", "check_structure", "derive", "from_scales", "remarks"]
