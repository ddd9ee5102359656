"""What a fixed-point type can hold, and how an integer is moved from one to another.

Values are carried as raw integers: the number is ``raw * 2**-fraction``.  Nothing here knows about
networks, ports or compilers.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from retrain.errors import ContractError

Rounding = Literal["AP_TRN", "AP_RND_CONV"]
Overflow = Literal["AP_WRAP", "AP_SAT"]
Integers = NDArray[np.int64]

_PATTERN = re.compile(
    r"ap_(?P<sign>u?)fixed<\s*(?P<width>\d+)\s*,\s*(?P<integer>-?\d+)\s*"
    r"(?:,\s*(?P<rounding>AP_TRN|AP_RND_CONV)\s*,\s*(?P<overflow>AP_WRAP|AP_SAT)\s*)?>"
)
_MAXIMUM_WIDTH = 48  # raw values, shifted and summed, then stay far inside int64


@dataclass(frozen=True)
class FixedPoint:
    """A type such as ``ap_fixed<8,6,AP_TRN,AP_SAT>``, as the vendor's C++ library names it.

    Attributes:
        width: All bits.
        integer: Bits before the binary point, sign included.
        signed: Two's complement when true.
        rounding: ``AP_TRN`` (towards minus infinity) or ``AP_RND_CONV`` (half to even).
        overflow: ``AP_WRAP`` or ``AP_SAT``.
    """

    width: int
    integer: int
    signed: bool
    rounding: Rounding = "AP_TRN"
    overflow: Overflow = "AP_WRAP"

    def __post_init__(self) -> None:
        if not 1 <= self.width <= _MAXIMUM_WIDTH:
            raise ContractError(f"fixed-point type has {self.width} bits; expected 1 to {_MAXIMUM_WIDTH}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a type as C++ writes it.

        Raises:
            ContractError: The text is no such type, or asks for a rounding that cannot be proven here.
        """
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            raise ContractError(
                f"{text!r} is not a fixed-point type; expected e.g. ap_fixed<8,6,AP_TRN,AP_SAT> with AP_TRN or "
                "AP_RND_CONV and AP_WRAP or AP_SAT"
            )
        rounding: Rounding = "AP_RND_CONV" if match["rounding"] == "AP_RND_CONV" else "AP_TRN"
        overflow: Overflow = "AP_SAT" if match["overflow"] == "AP_SAT" else "AP_WRAP"
        return cls(int(match["width"]), int(match["integer"]), match["sign"] == "", rounding, overflow)

    def __str__(self) -> str:
        prefix = "ap_fixed" if self.signed else "ap_ufixed"
        if (self.rounding, self.overflow) == ("AP_TRN", "AP_WRAP"):
            return f"{prefix}<{self.width},{self.integer}>"
        return f"{prefix}<{self.width},{self.integer},{self.rounding},{self.overflow}>"

    @property
    def fraction(self) -> int:
        """Bits after the binary point."""
        return self.width - self.integer

    @cached_property
    def low(self) -> int:
        """The smallest raw value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @cached_property
    def high(self) -> int:
        """The largest raw value."""
        return (1 << (self.width - 1 if self.signed else self.width)) - 1

    def holds(self, value: float) -> bool:
        """Whether the type holds this number without rounding or overflow."""
        raw = value * 2.0**self.fraction
        return raw == int(raw) and self.low <= raw <= self.high

    def from_raw(self, raw: Integers, fraction: int) -> Integers:
        """Assign numbers of another type (raw, with ``fraction`` bits) to this one, as the C++ assignment does."""
        moved = shift_right(raw, fraction - self.fraction, self.rounding)
        if self.overflow == "AP_SAT":
            return np.clip(moved, self.low, self.high)
        span = 1 << self.width
        return ((moved - self.low) & (span - 1)) + self.low


def shift_right(raw: Integers, bits: int, rounding: str) -> Integers:
    """Drop ``bits`` low bits with the named rounding; negative ``bits`` append zeros."""
    if bits <= 0:
        return raw << -bits
    if rounding == "AP_TRN":
        return raw >> bits
    if rounding == "AP_RND_CONV":
        half_less_one = (1 << (bits - 1)) - 1
        return (raw + half_less_one + ((raw >> bits) & 1)) >> bits
    raise ContractError(f"rounding {rounding!r} is not one that can be proven; use AP_TRN or AP_RND_CONV")
