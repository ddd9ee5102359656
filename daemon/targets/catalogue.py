"""From settings to the target of a slot: its kind by name, its boards as one, and what they show beside it.

Kinds are known by name (`daemon.target_options`) or come as entry points of the group ``retrigger.targets``: a function
of the options, a `Place` and the target's name (None: it makes its own), which returns a `daemon.deploy.DeployTarget`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from daemon.config import DeploySettings, Settings, TargetSettings
from daemon.deploy import DeployTarget
from daemon.errors import ConfigurationError, DeployError
from daemon.target_options import GROUP, AskedKey, CommandOptions, FilesystemOptions, OciOptions, TufOptions, kinds
from daemon.targets.boards import BoardsTarget
from daemon.targets.command import CommandTarget
from daemon.targets.filesystem import FilesystemTarget
from daemon.targets.registers import IpbusRegisters, WitnessedTarget


@dataclass(frozen=True)
class Place:
    """What a target may need beside its options: the slot, a folder for its memory, and the time (UTC)."""

    slot: str
    state: Path
    clock: Callable[[], datetime]


Factory = Callable[[Mapping[str, Any], Place, str | None], DeployTarget]


def target_of(settings: Settings, clock: Callable[[], datetime]) -> DeployTarget:
    """Return the target that the configuration names for live data.

    Raises:
        ConfigurationError: The kind is unknown, or a key it needs cannot be read.
    """
    return _target(settings.deploy, Place(settings.stream.slot, settings.state / "targets", clock))


def rehearsal_of(settings: Settings, clock: Callable[[], datetime]) -> DeployTarget | None:
    """Return the crate where the way back is rehearsed, None if the configuration names none.

    Raises:
        ConfigurationError: As `target_of`.
    """
    crate = settings.deploy.rehearsal
    if crate is None:
        return None
    place = Place(settings.stream.slot, settings.state / "targets" / "rehearsal", clock)
    return _made(crate.target, crate.options, place, None)


def _target(deploy: DeploySettings, place: Place) -> DeployTarget:
    if deploy.boards:
        boards = {
            board.name: _made(board.target, board.options, _of_board(place, board), board.name)
            for board in deploy.boards
        }
        target: DeployTarget = BoardsTarget(f"boards:{','.join(boards)}", boards)
    elif deploy.target == "filesystem":
        target = FilesystemTarget(deploy.folder)
    else:
        target = _made(deploy.target, deploy.options, place, None)
    shown = {
        one.name: IpbusRegisters(one.uri, one.address_table, node=one.node, timeout_s=one.timeout_s)
        for one in deploy.registers
    }
    return WitnessedTarget(target, shown) if shown else target


def _of_board(place: Place, board: TargetSettings) -> Place:
    return Place(place.slot, place.state / board.name, place.clock)


def _made(kind: str, options: Mapping[str, Any], place: Place, name: str | None) -> DeployTarget:
    if kind in BUILT_IN:
        return BUILT_IN[kind](options, place, name)
    point = next((one for one in entry_points(group=GROUP) if one.name == kind), None)
    if point is None:
        raise ConfigurationError(f"unknown kind of target {kind!r}; known here: {', '.join(kinds())}")
    try:
        made: DeployTarget = point.load()(options, place, name)
    except Exception as error:  # foreign code may raise anything
        raise ConfigurationError(
            f"target {kind!r} of {point.value} cannot be made: {type(error).__name__}: {error}; mend its options or "
            "its package"
        ) from error
    return made


def filesystem(options: Mapping[str, Any], place: Place, name: str | None) -> DeployTarget:  # noqa: ARG001  # one shape for all
    """Make a folder with whole releases."""
    return FilesystemTarget(FilesystemOptions.model_validate(options).folder, name=name)


def command(options: Mapping[str, Any], place: Place, name: str | None) -> DeployTarget:  # noqa: ARG001  # one shape for all
    """Make a program of the site a target."""
    one = CommandOptions.model_validate(options)
    return CommandTarget(one.argv, timeout_s=one.timeout_s, name=name)


def oci(options: Mapping[str, Any], place: Place, name: str | None) -> DeployTarget:  # noqa: ARG001  # one shape for all
    """Make a repository of an OCI registry a target."""
    from daemon.targets.oci import OciTarget  # noqa: PLC0415  # a client is paid for by whoever uses one

    one = OciOptions.model_validate(options)
    return OciTarget(one.registry, one.repository, insecure=one.insecure, timeout_s=one.timeout_s, name=name)


def tuf(options: Mapping[str, Any], place: Place, name: str | None) -> DeployTarget:
    """Make one slot of a TUF repository a target."""
    from daemon.targets.tuf import TufTarget  # noqa: PLC0415  # a client is paid for by whoever uses one
    from daemon.targets.tuf_publishing import Lifetimes  # noqa: PLC0415  # as above

    one = TufOptions.model_validate(options)
    return TufTarget(
        one.folder,
        place.slot,
        root=one.root,
        memory=one.memory or place.state / "tuf",
        signers=signers_of(one),
        clock=place.clock,
        url=one.url,
        lifetimes=Lifetimes(
            timedelta(days=one.targets_days),
            timedelta(days=one.snapshot_days),
            timedelta(hours=one.timestamp_hours),
        ),
        timeout_s=one.timeout_s,
        name=name,
    )


def signers_of(options: TufOptions) -> Any:
    """Return the `daemon.targets.tuf_publishing.Signers` that the options name.

    Raises:
        ConfigurationError: A key cannot be read, or may be read by others.
    """
    from daemon.targets.tuf_keys import asked_signer, signer_of  # noqa: PLC0415  # paid for by whoever uses one
    from daemon.targets.tuf_publishing import Signers  # noqa: PLC0415  # as above

    try:
        several = tuple(
            asked_signer(key.argv, key.public, key.timeout_s) if isinstance(key, AskedKey) else signer_of(key)
            for key in options.keys
        )
        online = signer_of(options.online_key)
    except DeployError as error:
        raise ConfigurationError(str(error)) from error
    return Signers(several, online, online)


BUILT_IN: Mapping[str, Factory] = {"filesystem": filesystem, "command": command, "oci": oci, "tuf": tuf}
