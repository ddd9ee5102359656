"""The recipe that a configuration asks for, on lumisections that somebody chose.

The same for the first champion, for candidates and for sweeps.
"""

from typing import Any

from daemon import signal_list
from daemon.config import Settings
from retrain.recipe import LumisectionRange, Recipe


def recipe_of(settings: Settings, spans: tuple[LumisectionRange, ...], **more: Any) -> Recipe:
    """Return the recipe that the settings state for these lumisections.

    Args:
        settings: Slot, model, training, target.
        spans: What it learns from and is measured on.
        more: Fields that the occasion decides: champion, contract, faults, policy.

    Raises:
        RecipeError: A field is out of its range; the message names it.
    """
    retrain = settings.retrain
    stated: dict[str, Any] = {
        "slot": settings.stream.slot,
        "lumisections": spans,
        "model": retrain.model,
        "seed": retrain.seed,
        "epochs": retrain.epochs,
        "batch_size": retrain.batch_events,
        "target_rate_hz": retrain.target_rate_hz,
        "bunches": retrain.bunches,
        "proof_vectors": retrain.vectors,
        "synthesise": retrain.synthesise,
        "signals": signal_list.names(retrain.signals),
        "margin": retrain.margin,
    }
    return Recipe(**{**stated, **more})


def placed(settings: Settings) -> dict[str, str]:
    """Return the part of a job that says on which kind of device it trains; nothing for the CPU, as ever."""
    return {} if settings.executor.device == "cpu" else {"device": settings.executor.device}
