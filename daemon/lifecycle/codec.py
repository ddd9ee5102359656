"""How a frozen value becomes canonical JSON and comes back.

RFC 8785 (sorted keys, shortest numbers, UTF-8), so that equal values have equal bytes and equal digests on every
machine.  Nothing here knows what a fact means.
"""

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import rfc8785

from daemon.errors import FactError

T = TypeVar("T")


def canonical(value: Any) -> bytes:
    """Return the one canonical encoding of a JSON-like value, frozen dataclass or aware datetime.

    Raises:
        FactError: The value holds something JSON cannot say exactly (NaN, a naive time, an integer over 2**53).
    """
    try:
        return rfc8785.dumps(plain(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        message = (
            f"cannot be written as canonical JSON ({error}); use finite numbers, |integers| < 2**53 and valid text"
        )
        raise FactError(message) from error


def parse(text: str | bytes) -> Any:
    """Return what `canonical` wrote; whole floats beyond 2**53 are written like integers, and come back as floats.

    Raises:
        ValueError: The text is no JSON.
    """
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> int | float:
    number = float(digits)
    return int(digits) if abs(number) < 2**53 else number


def digest(value: Any) -> str:
    """Return the SHA-256, in hex, of the canonical encoding."""
    return hashlib.sha256(canonical(value)).hexdigest()


def time_text(at: datetime) -> str:
    """Return an aware time as UTC text that sorts as the time does, to the microsecond."""
    if at.tzinfo is None:
        raise FactError(f"{at.isoformat()} has no time zone; pass a UTC-aware datetime")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return the value as dicts, lists, text and numbers only."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case datetime():
            return time_text(value)
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(plain(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise FactError(f"{type(value).__name__} has no JSON form; use text, numbers, times, lists or mappings")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise FactError(f"key {key!r} is a {type(key).__name__}; JSON keys are text")
    return key


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def build(kind: type[T], body: Mapping[str, Any]) -> T:
    """Return the dataclass that `plain` took apart.

    Raises:
        FactError: A field is missing, unknown or of another type; a newer retrigger may have written it.
    """
    declaring: Any = kind  # mypy takes no type for a hashable, nor for a dataclass
    hints = _hints(declaring)
    declared = {field.name: field for field in fields(declaring)}
    if unknown := sorted(set(body) - set(declared)):
        raise FactError(f"{kind.__name__} has unknown fields {unknown}; a newer retrigger wrote it, use that one")
    values = {}
    for name, field in declared.items():
        if name in body:
            values[name] = _restore(hints[name], body[name], f"{kind.__name__}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise FactError(
                f"{kind.__name__} lacks the field {name!r}; the record is damaged, run `retrigger audit verify`"
            )
    return kind(**values)


def _restore(hint: Any, value: Any, where: str) -> Any:  # noqa: PLR0911  # one line per kind of type
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in {Union, UnionType}:
        if value is None and NoneType in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _restore(inner, value, where)
    if origin is Literal:
        return _checked(value, isinstance(value, str) and value in arguments, hint, where)
    if origin is tuple:
        _checked(value, isinstance(value, list), hint, where)
        return tuple(_restore(arguments[0], item, where) for item in value)
    if origin in {dict, Mapping}:
        return _checked(value, isinstance(value, dict), hint, where)
    if hint is datetime:
        return _time(value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, _checked(value, isinstance(value, dict), hint, where))
    if hint is float:
        return float(_checked(value, isinstance(value, int | float) and not isinstance(value, bool), hint, where))
    if hint is int:  # RFC 8785 writes 3.0 as 3, and so does every reader
        return _checked(value, isinstance(value, int) and not isinstance(value, bool), hint, where)
    return _checked(value, isinstance(value, hint), hint, where)


def _time(value: Any, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(_checked(value, isinstance(value, str), datetime, where))
    except ValueError as error:
        raise FactError(f"{where}: {value!r} is no ISO 8601 time; the record is damaged") from error
    if at.tzinfo is None:
        raise FactError(f"{where}: {value!r} has no time zone; the record is damaged")
    return at.astimezone(UTC)


def _checked(value: Any, holds: bool, hint: Any, where: str) -> Any:
    if not holds:
        raise FactError(f"{where}: {value!r} is no {hint}; the record is damaged or a newer retrigger wrote it")
    return value
