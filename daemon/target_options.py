"""What an operator may set for each kind of target, and which of it are paths.

Kinds that other packages bring (entry points ``retrigger.targets``) check their options themselves.  Nothing here
opens a file or makes a target.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

GROUP = "retrigger.targets"
Positive = Annotated[float, Field(gt=0)]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FilesystemOptions(_Options):
    """A folder with whole releases and the link ``current``."""

    folder: Path


class CommandOptions(_Options):
    """A program of the site; see `daemon.targets.command.CommandTarget` for what it is asked."""

    argv: tuple[str, ...] = Field(min_length=1)
    timeout_s: Positive = 120.0


class OciOptions(_Options):
    """A repository of an OCI registry."""

    registry: str = Field(pattern=r"^[^/\s]+$")
    repository: str = Field(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")
    insecure: bool = False
    timeout_s: Positive = 30.0


class AskedKey(_Options):
    """A key that another program holds: it reads the bytes and answers the signature in hex."""

    argv: tuple[str, ...] = Field(min_length=1)
    public: Path
    timeout_s: Positive = 60.0


class TufOptions(_Options):
    """A TUF repository in which two keys at least say what runs."""

    folder: Path
    root: Path
    keys: tuple[Path | AskedKey, ...] = Field(min_length=2)
    online_key: Path
    url: str = Field(default="", pattern=r"^(https?://.*)?$")
    memory: Path | None = None
    timeout_s: Positive = 60.0
    targets_days: Positive = 90.0
    snapshot_days: Positive = 7.0
    timestamp_hours: Positive = 24.0


OPTIONS: Mapping[str, type[_Options]] = {
    "filesystem": FilesystemOptions,
    "command": CommandOptions,
    "oci": OciOptions,
    "tuf": TufOptions,
}


def kinds() -> tuple[str, ...]:
    """Return every known kind of target, sorted; nothing is imported."""
    return tuple(sorted({*OPTIONS, *(point.name for point in entry_points(group=GROUP))}))


def problems(kind: str, options: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield a sentence for every mistake in the options of one target."""
    if kind not in kinds():
        yield f"{where}: unknown kind of target {kind!r}; known here: {', '.join(kinds())}"
        return
    model = OPTIONS.get(kind)
    if model is None:
        return
    try:
        model.model_validate(options)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            place = ".".join(str(part) for part in ("options", *one["loc"]))
            if one["type"] == "extra_forbidden":
                yield f"{where}.{place}: unknown key; known here: {', '.join(model.model_fields)}"
            else:
                yield f"{where}.{place}: {one['msg']}; found {one['input']!r}"


def resolved(kind: str, options: Mapping[str, Any], resolve: Callable[[Path], Path]) -> dict[str, Any]:
    """Return the options with every path made absolute; of foreign kinds they stay as they are."""
    model = OPTIONS.get(kind)
    return dict(options) if model is None else _paths(model.model_validate(options).model_dump(), resolve)


def _paths(value: Any, resolve: Callable[[Path], Path]) -> Any:
    if isinstance(value, Path):
        return resolve(value)
    if isinstance(value, dict):
        return {key: _paths(one, resolve) for key, one in value.items()}
    return tuple(_paths(one, resolve) for one in value) if isinstance(value, tuple) else value
