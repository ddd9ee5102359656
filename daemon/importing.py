"""How a slot gets its first champion: by import, once, with its bits checked and read back."""

import shutil
from datetime import datetime
from pathlib import Path

from daemon.assemble import Parts, owner
from daemon.errors import RefusedError
from daemon.lifecycle import facts as f
from daemon.shelf import champion_digest
from retrain import bundle as bundles


def adopt(ready: Parts, bundle: Path, reason: str, now: datetime) -> f.ChampionImported:
    """Put a bundle on the board as the champion that ran before retrigger came, and record it.

    Repeating it with the same bundle changes nothing.

    Raises:
        BundleAlteredError: The bundle is not whole.
        RefusedError: The slot has another champion already; from then on only an approval changes it.
        LeadershipTakenError: The daemon is running; stop it first.
    """
    slot = ready.settings.stream.slot
    whole = bundles.load(bundle)
    before = champion_digest(ready.ledger, slot)
    if before and before != whole.digest:
        raise RefusedError(
            f"{slot} already runs {before[:16]} by the record; a new model takes a candidate and an approval"
        )
    kept = ready.settings.state / "bundles" / whole.digest
    if kept.resolve() != bundle.resolve() and not kept.exists():
        half = kept.with_name(f".{whole.digest}.part")
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, half)
        half.replace(kept)
    with ready.ledger.lead(owner(), now) as lead:
        ready.target.deploy(whole.digest, kept, token=lead.token)
    read_back = ready.target.read_back()
    if read_back != whole.digest:
        raise RefusedError(
            f"the board was read back as {read_back[:16]}, expected {whole.digest[:16]}; nothing recorded"
        )
    fact = f.ChampionImported(at=now, actor=f"import: {reason}", slot=slot, digest=whole.digest, bundle_path=str(kept))
    if not before:
        ready.ledger.append(slot, (fact,))
    return fact
