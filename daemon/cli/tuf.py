"""Keys and root of a TUF repository, by whoever keeps the root keys; the daemon never does this."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from daemon import config
from daemon.assemble import utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import ConfigurationError, DeployError
from daemon.target_options import TufOptions

tuf = typer.Typer(help="Keys and root of a TUF repository, the target with two keys.", no_args_is_help=True)
app.add_typer(tuf, name="tuf")
RootKeys = Annotated[
    list[Path], typer.Option("--root-key", help="A private root key; from a disk that is taken away again.")
]


@tuf.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new private key, e.g. first.pem.")],
    *,
    json: Json = False,
) -> None:
    """Write a new Ed25519 key, readable by you alone, and its public half beside it."""
    from daemon.targets.tuf_keys import make_key  # noqa: PLC0415 each verb pays for its own libraries

    make_key(file)
    if json:
        say.machine({"type": "key", "private": str(file), "public": str(file.with_suffix(".pub.pem"))})
        return
    say.words(f"Wrote {file} and {file.with_suffix('.pub.pem')}.  Keep the two keys of a repository on two hosts.")


@tuf.command()
def lay(
    *,
    root_key: RootKeys,
    threshold: Annotated[int, typer.Option(min=2, help="Root keys that must agree.")] = 2,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Make the empty repository that the configuration names, and the root that its readers trust."""
    from daemon.targets.tuf_keys import signer_of  # noqa: PLC0415 each verb pays for its own libraries
    from daemon.targets.tuf_root import lay_root  # noqa: PLC0415 as above

    options = _options(config_file)
    first = lay_root(
        options.folder, [signer_of(path) for path in root_key], _signers(options), utc_now(), threshold=threshold
    )
    options.root.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(first, options.root)
    if json:
        say.machine({"type": "root_laid", "folder": str(options.folder), "root": str(options.root)})
        return
    say.words(f"Laid {options.folder}; give {options.root} to every reader by hand, and take the root keys away.")


@tuf.command()
def rotate(
    role: Annotated[Literal["root", "targets", "snapshot", "timestamp"], typer.Argument(help="Whose keys change.")],
    *,
    public_key: Annotated[list[Path], typer.Option("--public-key", help="Every key of the role from now on.")],
    root_key: RootKeys,
    config_file: ConfigFile = Path("retrigger.toml"),
    json: Json = False,
) -> None:
    """Replace a role's keys after a loss or theft; then deploy again with the new ones."""
    from daemon.targets.tuf_keys import public_key_of, signer_of  # noqa: PLC0415 each verb pays for its own libraries
    from daemon.targets.tuf_root import rotate as replace  # noqa: PLC0415 as above

    options = _options(config_file)
    keys: dict[str, Sequence[Any]] = {role: [public_key_of(path) for path in public_key]}
    root = replace(options.folder, [signer_of(path) for path in root_key], keys, utc_now())
    if json:
        say.machine({"type": "keys_rotated", "role": role, "root_version": root.signed.version})
        return
    say.words(f"Root {root.signed.version} names {len(public_key)} key(s) for {role}; set them and deploy again.")


def _options(config_file: Path) -> TufOptions:
    deploy = config.load(config_file).deploy
    if deploy.target != "tuf":
        raise ConfigurationError(f"{config_file}: deploy.target is {deploy.target!r}; set it to 'tuf' with its options")
    return TufOptions.model_validate(deploy.options)


def _signers(options: TufOptions) -> Any:
    from daemon.targets.catalogue import signers_of  # noqa: PLC0415 each verb pays for its own libraries

    try:
        return signers_of(options)
    except ConfigurationError as error:
        raise DeployError(f"{error}; make keys with `retrigger tuf key`") from error


__all__ = ["key", "lay", "rotate"]
