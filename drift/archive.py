"""How frozen models go to disk and come back without pickle: arrays by name, the rest as JSON."""

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from drift.benign import Benign, Check, Swell
from drift.breach import Promises
from drift.cells import CellModel
from drift.fill_means import FillModel
from drift.score_streams import ScoreModel
from drift.signatures import Signatures
from drift.strata import Strata
from drift.streams import StreamLabel, StreamModel, Template

_KINDS = {
    kind.__name__: kind
    for kind in (
        Benign,
        CellModel,
        Check,
        FillModel,
        Promises,
        ScoreModel,
        Signatures,
        Strata,
        StreamLabel,
        StreamModel,
        Swell,
        Template,
    )
}

T = TypeVar("T")


def pack(name: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return JSON for a value, putting its arrays under dotted names."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {one.name: pack(f"{name}.{one.name}", getattr(value, one.name), arrays) for one in fields(value)}
        return {"kind": type(value).__name__, "fields": inner}
    if isinstance(value, tuple):
        return {"tuple": [pack(f"{name}.{i}", one, arrays) for i, one in enumerate(value)]}
    return value


def unpack(kind: type[T], stored: Any, arrays: dict[str, np.ndarray]) -> T:
    """Return the value `pack` took apart."""
    inner = {name: _unpacked(one, arrays) for name, one in stored["fields"].items()}
    return kind(**inner)


def _unpacked(stored: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(stored, dict) and "array" in stored:
        return arrays[stored["array"]]
    if isinstance(stored, dict) and "tuple" in stored:
        return tuple(_unpacked(one, arrays) for one in stored["tuple"])
    if isinstance(stored, dict) and "kind" in stored:
        return unpack(_KINDS[stored["kind"]], stored, arrays)
    return stored
