"""The recipe that a configuration asks for, on lumisections that somebody chose.

The same for the first champion, for candidates and for sweeps.
"""

from typing import Any

from daemon import signal_list
from daemon.config import Settings
from daemon.errors import RefusedError
from retrain.bundle import Bundle
from retrain.champion import Champion
from retrain.policy import Policy
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
        **retrain.network,
        "target_rate_hz": retrain.target_rate_hz,
        "bunches": retrain.bunches,
        "proof_vectors": retrain.vectors,
        "synthesise": retrain.synthesise,
        "signals": signal_list.names(retrain.signals),
        "margin": retrain.margin,
    }
    return Recipe(**{**stated, **more})


def successor_of(settings: Settings, spans: tuple[LumisectionRange, ...], champion: Champion, **more: Any) -> Recipe:
    """Return the recipe of a candidate that follows a champion, under its contract and by the configured policy.

    Raises:
        RefusedError: The policy starts from weights that the champion does not have, or has in another shape.
        RecipeError: A field is out of its range; the message names it.
    """
    kept = {"contract": champion.contract.digest, "champion": champion.digest, "policy": settings.retrain.way}
    return recipe_of(
        settings, spans, **{**kept, **more, **_shape(settings, champion, more.get("policy", kept["policy"]))}
    )


def _shape(settings: Settings, champion: Champion, policy: Policy) -> dict[str, Any]:
    """Return the fields that a policy takes from the champion's own recipe, since its weights have that shape."""
    if not policy.from_champion:
        return {}
    slot, retrain = settings.stream.slot, settings.retrain
    if not isinstance(champion, Bundle):
        raise RefusedError(
            f"{slot}: policy {policy.name} starts from the champion's weights, and what runs now is an adopted library "
            'without any; make the next champion with retrain.policy = "full"'
        )
    own = champion.recipe
    for name in ("model", "hidden", "latent"):
        asked, has = getattr(retrain, name), getattr(own, name)
        if asked is not None and asked != has:
            raise RefusedError(
                f"{slot}: retrain.{name} is {asked!r}, the champion {champion.digest[:16]} has {has!r}, and policy "
                f'{policy.name} starts from its weights; ask for that shape, or set retrain.policy = "full"'
            )
    if policy.rehearses and champion.memory is None:
        raise RefusedError(
            f"{slot}: policy {policy.name} rehearses the champion's memory, and {champion.digest[:16]} has none; make "
            'the next champion with retrain.policy = "full"'
        )
    return {"hidden": own.hidden, "latent": own.latent}


def placed(settings: Settings) -> dict[str, str]:
    """Return the part of a job that says on which kind of device it trains; nothing for the CPU, as ever."""
    return {} if settings.executor.device == "cpu" else {"device": settings.executor.device}
