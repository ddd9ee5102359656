"""Which bundle of the record lies where, and which one the record says a slot runs."""

from pathlib import Path

from daemon.errors import RefusedError
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
    try:
        return needed_champion(ledger, digest) if digest else None
    except RefusedError:
        return None


def needed_champion(ledger: Ledger, digest: str) -> Champion:
    """Return the bundle or adopted library of a digest after checking its bytes, where nothing goes without it.

    Raises:
        RefusedError: The record does not know it, it was altered, or another version made it; the text says which.
    """
    path = bundle_path(ledger, digest)
    if path is None:
        raise RefusedError(
            f"what runs now, {digest[:16]}, is not in the record, so its contract is not known and a candidate could "
            "not be held against it; import it with `retrigger import-champion`"
        )
    try:
        return load(path, digest)
    except BundleAlteredError as error:
        raise RefusedError(
            f"what runs now, {digest[:16]}, cannot be loaded from {path}, so its contract is not known and a candidate "
            f"could not be held against it: {error}.  Put the bundle back as it was, or begin the slot anew with "
            "`retrigger bootstrap` and a state folder of its own"
        ) from error
