"""What a bundle's sealed verdicts are worth beside the model that runs: what was held against another is no answer."""

from collections.abc import Mapping
from typing import Any

from daemon.lifecycle import facts as f
from retrain.bundle import Bundle
from retrain.digest import digest_of
from retrain.verify import AGAINST_CHAMPION


def against_another(bundle: Bundle, running: str) -> bool:
    """Return whether this bundle was compared with another model than the one that runs; its own bits are no other."""
    champion = bundle.recipe.champion
    return champion is not None and running not in {champion, bundle.digest}


def outcomes(bundle: Bundle, running: str) -> tuple[f.GateOutcome, ...]:
    """Return the gates as they count while this digest runs.

    A gate that passed or was open against another champion is inconclusive; one that failed stays failed.
    """
    other = against_another(bundle, running)
    said = f"measured against {(bundle.recipe.champion or '')[:16]}, {running[:16] or 'nothing'} runs now; train anew"
    return tuple(
        f.GateOutcome(number=one.number, name=one.name, verdict="inconclusive", summary=f"{said} ({one.summary})")
        if other and one.name in AGAINST_CHAMPION and one.verdict != "fail"
        else f.GateOutcome(number=one.number, name=one.name, verdict=one.verdict, summary=one.summary)
        for one in bundle.gates
    )


def evidence_root(bundle: Bundle, running: str) -> str:
    """Return one digest over every piece of evidence in the manifest, and over what ran if that was another champion.

    So a waiver that was given for the verdicts against one champion does not speak of those against another.
    """
    files: Mapping[str, Any] = bundle.manifest["files"]
    root = {name: entry for name, entry in files.items() if name.startswith("evidence/")}
    return digest_of({**root, "against": running} if against_another(bundle, running) else root)
