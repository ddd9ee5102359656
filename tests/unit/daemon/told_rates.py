"""The made-up evidence of a working point: rates by pileup, of a candidate and of the champion beside it."""

from typing import Any

from retrain import bundle as bundles
from retrain.recipe import Recipe
from retrain.working_point import share


def working_point(threshold: int, recipe: Recipe, champion: bundles.Bundle | None) -> dict[str, Any]:
    events, passing = 7_000, 37
    got, bunches = share(passing, events, 0.95), recipe.bunches
    old = share(29, events, 0.95)
    strata, before = [], []
    steps = ((35.0, 900, 2, 1), (40.0, 1_500, 5, 4), (45.0, 2_000, 10, 8), (50.0, 2_600, 20, 16))
    for index, (edge, n, k, theirs) in enumerate(steps):
        for rows, passed in ((strata, k), (before, theirs)):
            part = share(passed, n, 0.95)
            rows.append({"pileup_from": edge, **vars(part), **part.rates(bunches), "order": index})
    return {
        "threshold": threshold,
        "target_rate_hz": recipe.target_rate_hz,
        "bunches": bunches,
        "confidence": 0.95,
        "minimum_passing": 20,
        **vars(got),
        **got.rates(bunches),
        "one_below_hz": got.rates(bunches)["rate_hz"] * 1.02,
        "strata": strata,
        "stability": {"cells": 6, "tested": True, "chi_square": 3.1, "degrees": 3, "p_value": 0.38},
        "training": {**vars(share(240, 45_150, 0.95)), "held_out_fraction": 37 / 7_000, "p_value": 0.81},
        "against_champion": None
        if champion is None
        else {
            "digest": champion.digest,
            "threshold": champion.threshold,
            "champion": {**vars(old), **old.rates(bunches)},
            "both": 24,
            "gained": 13,
            "lost": 5,
            "overlap": 24 / 42,
            "strata": before,
        },
    }
