"""Which bundle of the record lies where, and which one the record says a slot runs."""

from pathlib import Path

from daemon.ledger import Ledger
from daemon.lifecycle import champions
from daemon.lifecycle import facts as f
from retrain.champion import Champion, load
from retrain.errors import BundleAlteredError


def champion_digest(ledger: Ledger, slot: str) -> str:
    """Return the digest that the record says the slot runs; empty when no champion was ever imported."""
    kinds = ("champion_imported", "deployed", "rolled_back")
    stored = sorted((one for kind in kinds for one in ledger.facts(kind=kind)), key=lambda one: one.sequence)
    line = champions((one.fact for one in stored), slot)
    return line[-1].digest if line else ""


def bundle_path(ledger: Ledger, digest: str) -> Path | None:
    """Return the folder of a bundle that the record names, None if it names none with this digest."""
    for stored in ledger.facts(kind="champion_imported"):
        if isinstance(stored.fact, f.ChampionImported) and stored.fact.digest == digest:
            return Path(stored.fact.bundle_path)
    for stored in ledger.facts(kind="training_finished"):
        if isinstance(stored.fact, f.TrainingFinished) and stored.fact.bundle_digest == digest:
            return Path(stored.fact.bundle_path)
    return None


def whole_champion(ledger: Ledger, digest: str | None) -> Champion | None:
    """Return the bundle or adopted library of a digest after checking its bytes; None when unknown or altered."""
    path = bundle_path(ledger, digest) if digest else None
    if path is None or digest is None:
        return None
    try:
        return load(path, digest)
    except BundleAlteredError:
        return None
