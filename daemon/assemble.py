"""The parts of a running daemon, made from settings: adapters here, rules elsewhere."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from daemon.config import RecordSettings, Settings
from daemon.deploy import DeployTarget
from daemon.ledger import Ledger
from daemon.lifecycle import Policy
from daemon.observing import Observing
from daemon.people import People
from daemon.policy_file import InForce, policy_in_force
from daemon.record import (
    Cadence,
    CommandPlace,
    FolderPlace,
    HeadSigner,
    Place,
    Provenance,
    Shipping,
    is_machine,
    own_key,
    public_half,
)
from daemon.shelf import whole_champion
from daemon.sight import Sight, TableCertifier
from daemon.targets.catalogue import rehearsal_of, target_of
from drift.conditions import BeamModeFeed


@dataclass(frozen=True)
class Parts:
    """What every acting verb needs: the record, the people, the rules, and eyes."""

    settings: Settings
    ledger: Ledger
    people: People
    rules: InForce
    target: DeployTarget
    beam: BeamModeFeed
    sight: Sight
    observing: Observing

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.rules.policy


@contextmanager
def parts(settings: Settings) -> Iterator[Parts]:
    """Open the ledger and gather the parts around it; the ledger is closed afterwards."""
    with Ledger.open(settings.ledger.url) as ledger:
        people = People(ledger, is_machine=lambda public: _machines(settings.record, public))
        settings.deploy.folder.mkdir(parents=True, exist_ok=True)
        target = target_of(settings, utc_now)
        folder = settings.conditions.folder
        beam = BeamModeFeed(folder / "beam_mode.jsonl", settings.conditions.beam_mode_stale_s)
        observing = Observing(
            ledger,
            settings.stream.slot,
            settings.stream.name,
            lambda digest: whole_champion(ledger, digest),
            settings.state / "board",
            enabled=bool(settings.stream.board),
        )
        crate = rehearsal_of(settings, utc_now)
        eyes = (TableCertifier(folder), beam, settings.stream.name, observing, crate.name if crate else "")
        sight = Sight(ledger, people, target, *eyes, settings.drift.quarantine_margin_lumisections)
        rules = policy_in_force(ledger, settings.policy, settings.policy_keys, unsigned=settings.policy_unsigned)
        yield Parts(settings, ledger, people, rules, target, beam, sight, observing)


def _machines(record: RecordSettings, public: str) -> bool:
    own = (public_half(record.key, "record"), public_half(record.build_key, "build"))
    return is_machine([key for key in own if key is not None], public)


def places_of(settings: Settings) -> list[Place]:
    """Return where the record goes outside this host."""
    record = settings.record
    return [
        *(FolderPlace(folder) for folder in record.folders),
        *(CommandPlace(command, record.timeout_s) for command in record.commands),
    ]


def shipping_of(settings: Settings, ledger: Ledger) -> Shipping:
    """Return what brings the record out of this host; keys are made when the first head is signed."""
    record = settings.record
    cadence = Cadence(facts=record.every_facts, minutes=record.every_minutes)

    def signer() -> HeadSigner:
        return HeadSigner(ledger, own_key(record.key, "record"), cadence)

    return Shipping(ledger, signer, places_of(settings), owner=owner())


def provenance_of(settings: Settings, ledger: Ledger) -> Provenance:
    """Return what signs where bundles came from; the key is made when the first bundle is verified."""
    record = settings.record
    return Provenance(ledger, lambda: own_key(record.build_key, "build"), record.builder)


def owner() -> str:
    """Name this process in leases and leads: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def utc_now() -> datetime:
    """Read the clock; the one place where the daemon does."""
    return datetime.now(tz=UTC)


def log_to_stderr(*, verbose: bool = False) -> None:
    """Log one line an event, for journald or a terminal."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    for noisy in ("apscheduler", "alembic", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
