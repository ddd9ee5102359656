"""The two buses of the module: which bits are whose."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ports:
    """The bits of the module's two buses.

    Attributes:
        inputs: Width of each input, lowest bits first.
        outputs: Width of each output; the score is the last.
        signed: Whether each output is signed.
        fractions: Fractional bits of each output as the module drives it.
        stages: Registers between the input register and the output, that register included.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signed: tuple[bool, ...]
    fractions: tuple[int, ...]
    stages: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Ports":
        """Read what `to_json` wrote."""
        listed = {name: tuple(item) for name, item in value.items() if isinstance(item, list)}
        return cls(**listed, stages=int(value["stages"]))
