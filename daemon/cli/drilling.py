"""Drills: what must work when it is needed, done while it is not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import Parts, owner, parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.identity import Me, PasswordStdin, authenticate
from daemon.cli.offline import ConfigFile, Json
from daemon.deploy import DeployTarget
from daemon.errors import RefusedError
from daemon.lifecycle import facts as f
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.lifecycle.candidate import IN_FLIGHT
from daemon.rehearsing import walk
from daemon.shelf import bundle_path
from daemon.targets.catalogue import rehearsal_of

drill = typer.Typer(help="Do what must work when it is needed, while it is not.", no_args_is_help=True)
app.add_typer(drill, name="drill")


@drill.command()
def rollback(
    *,
    bundle: Annotated[
        str, typer.Option("--with", help="Digest that stands for a failing candidate; left out: what ran before.")
    ] = "",
    config_file: ConfigFile = Path("retrigger.toml"),
    person: Me = "",
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Walk the way back to what runs now, time it, and put it on record."""
    settings = config.load(config_file)
    with parts(settings) as ready:
        me = authenticate(ready, person, password_stdin=password_stdin)
        if not set(ready.policy.rollback_roles) & ready.people.roles().get(me.name, frozenset()):
            raise RefusedError(f"{me.name} holds none of {', '.join(ready.policy.rollback_roles)}; ask one who does")
        home = ready.sight.running()
        if not home:
            raise RefusedError(f"{ready.target.name} runs nothing that can be read; see: retrigger status")
        away = bundle or _before(ready, home)
        with _crate(ready) as (target, token):
            went = walk(
                target, (home, _folder(ready, home)), (away, _folder(ready, away)), token=token, timer=time.monotonic
            )
        slot = settings.stream.slot
        fact = RollbackRehearsed(
            at=utc_now(),
            actor=me.name,
            slot=slot,
            from_digest=went.from_digest,
            to_digest=went.to_digest,
            seconds=went.seconds,
            target=went.target,
        )
        ready.ledger.append(slot, [fact])
    if json:
        say.machine({"type": "rollback_rehearsed", "slot": slot, **asdict(went)})
        return
    say.words(f"Back to {went.to_digest[:16]} on {went.target} in {went.seconds:.2f} s; it is on record.")


@contextmanager
def _crate(ready: Parts) -> Iterator[tuple[DeployTarget, int]]:
    """Yield where to walk and with which token: a crate of its own, or the board between fills and under the lead."""
    crate = rehearsal_of(ready.settings, utc_now)
    if crate is not None:
        yield crate, 1
        return
    mode = ready.beam.now(utc_now())
    if mode is None or mode.mode not in ready.policy.deploy_beam_modes:
        raise RefusedError(
            f"beam mode is {mode.mode if mode else 'unknown'}; without [deploy.rehearsal] the board is used, and "
            "only between fills"
        )
    slot = ready.settings.stream.slot
    if busy := [one.id for one in ready.sight.candidates() if one.slot == slot and one.phase in IN_FLIGHT]:
        raise RefusedError(f"{', '.join(busy)} is on its way to the board; wait for it, or name [deploy.rehearsal]")
    with ready.ledger.lead(owner(), utc_now()) as lead:
        yield ready.target, lead.token


def _before(ready: Parts, home: str) -> str:
    """Return a digest that ran before what runs now and was live.

    Raises:
        RefusedError: There is none.
    """
    way = ready.target.way_back()
    if way and way != home:
        return way
    live = [one.fact for one in ready.ledger.facts(kind=f.Deployed.kind)]
    digests = [one.digest for one in live if isinstance(one, f.Deployed) and one.digest != home]
    if not digests:
        raise RefusedError(
            "nothing ran before what runs now; name a bundle with --with (then a crate of its own is needed)"
        )
    return digests[-1]


def _folder(ready: Parts, digest: str) -> Path:
    path = bundle_path(ready.ledger, digest)
    if path is None:
        raise RefusedError(f"{digest[:16]} is not in the record, so where it lies is not known; import it first")
    crate = ready.settings.deploy.rehearsal is not None
    known = [one for one in ready.sight.candidates() if one.bundle_digest == digest]
    approved = not known or any(one.deployed is not None and not one.drill for one in known)
    if not crate and not approved:
        raise RefusedError(f"{digest[:16]} was never live; on the board itself only what ran there may stand in")
    return path


__all__ = ["rollback"]
