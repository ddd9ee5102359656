"""What a bundle's evidence says of candidate and champion beside each other, made up for the page."""

from typing import Any

from retrain import bundle as bundles
from retrain.recipe import Recipe


def rivals(recipe: Recipe, champion: bundles.Bundle | None) -> dict[str, dict[str, Any]]:
    """Return the evidence ``comparison``, ``faults`` and ``gain``."""
    rival = None if champion is None else {"digest": champion.digest, "kind": "bundle", "same_network": False}
    sure = {"margin": recipe.margin, "confidence": 0.95, "confidence_each": 0.95}
    moved = {"area": 0.58, "low": 0.57, "high": 0.59, "shift": 0.004, "shift_low": 0.003, "shift_high": 0.005}
    fault = {"name": "gain_jet=0.1", "candidate": moved}
    played = {"name": "rate", "verdict": "gain", "candidate": 0.12, "champion": 0.43, "steps": 24}
    games = {"gain_log10_e": 2.1, "gain_after": 14, "harm_log10_e": 0.0, "harm_after": None}
    if champion is not None:
        fault |= {"champion": moved, "judged": {"area": "kept", "shift": "unseen"}, "verdict": "kept"}
    return {
        "comparison": {"champion": rival, **sure, "verdicts": 0, "signals": []},
        "faults": {"champion": rival, "kept": 0.5, "events": 20_000, "faults": [fault]},
        "gain": {
            "champion": rival,
            "needed": False,
            "margin": recipe.margin,
            "measures": [] if champion is None else [{**played, **games}],
        },
    }
