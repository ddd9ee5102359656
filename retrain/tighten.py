"""What to change in a recipe whose network would not fit the board: fewer bits first, then fewer weights, then width.

The budget is a limit of the search, not a wish: a network that is too large is trained anew under a tighter recipe, a
stated number of times, and the record keeps the path.  Pure: a recipe and measured costs in, a recipe or None out.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from retrain.contract import Budget
from retrain.gates.resources import SURE
from retrain.recipe import Recipe

OPEN_TOOLS_DIFFER = 1.2
"""Yosys has counted up to 1.15 times da4ml's tables: the search leaves room for the larger, which the gate looks at."""
NOWHERE = 1e9
"""How far a network is beyond a resource that the slot does not have; a number that JSON can hold."""
LEAST_BITS = 3
SPARSITIES = (0.25, 0.5, 0.75)
WIDTHS = (0.75, 0.5, 0.375, 0.25)
PRUNED_STAYS = 0.85
"""In the design's study half of the weights pruned saved 42 % of the tables: sums keep bias, casts and carry."""


@dataclass(frozen=True)
class Try:
    """One network that was trained under one recipe, and what it would take.

    Attributes:
        weight_bits: Of the recipe.
        sparsity: Of the recipe.
        hidden: Of the recipe.
        lut: Look-up tables by da4ml.
        ff: Flip-flops by da4ml.
        ticks: Bunch crossings.
        over: How far beyond its share of the budget the worst of them is; 1 is just within.
    """

    weight_bits: int
    sparsity: float
    hidden: tuple[int, ...]
    lut: int
    ff: int
    ticks: int
    over: float

    @property
    def fits(self) -> bool:
        """Whether it keeps the margin that the gate asks of an estimate."""
        return self.over <= 1.0

    @property
    def may_pass(self) -> bool:
        """Whether the gates may still pass it: room was left for a tool that counts more, and may not be needed."""
        return self.over <= OPEN_TOOLS_DIFFER

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Try":
        """Read what `to_json` wrote, with or without remarks."""
        known = {one.name: value[one.name] for one in fields(cls)}
        return cls(**{**known, "hidden": tuple(value["hidden"])})

    def __str__(self) -> str:
        widths = "-".join(map(str, self.hidden))
        text = f"{self.weight_bits} bits, {self.sparsity:.0%} pruned, {widths}: {self.lut} LUT, {self.ff} FF, "
        return f"{text}{self.ticks} ticks, {'fits' if self.fits else f'{self.over:.2f} times too much'}"


def tried(recipe: Recipe, lut: int, ff: int, ticks: int, budget: Budget) -> Try:
    """Return a try from what da4ml counted.

    Args:
        recipe: That was trained.
        lut: Look-up tables.
        ff: Flip-flops.
        ticks: Bunch crossings.
        budget: Of the contract.
    """
    more = OPEN_TOOLS_DIFFER if recipe.synthesise else 1.0
    shares = (
        _share(lut * more, SURE * budget.lut),
        _share(ff * more, SURE * budget.ff),
        _share(ticks, budget.latency_ticks),
    )
    return Try(recipe.weight_bits, recipe.sparsity, recipe.hidden, lut, ff, ticks, max(shares))


def _share(used: float, limit: float) -> float:
    return used / limit if limit else NOWHERE if used else 0.0


def tighter(recipe: Recipe, last: Try) -> Recipe | None:
    """Return the mildest recipe that should fit, judging by the last try; None when none is left.

    Args:
        recipe: Of the last try.
        last: What it would take.
    """
    steps = list(_steps(recipe))
    enough = (one for one in steps if _shrinks(recipe, one) * last.over <= 1.0)
    # latency falls more slowly than area: where no step promises enough, the farthest is worth a try
    return next(enough, steps[-1] if steps else None)


def _steps(recipe: Recipe) -> Iterator[Recipe]:
    """Yield tighter recipes, mildest first.

    The width changes only where training starts afresh, and a state of an online learner is what it is.
    """
    if recipe.policy.name == "online":
        return
    bits = recipe.weight_bits
    for fewer in range(bits - 1, LEAST_BITS - 1, -1):
        yield replace(recipe, weight_bits=fewer)
    least = min(bits, LEAST_BITS + 1)
    for sparsity in SPARSITIES:
        if sparsity > recipe.sparsity:
            yield replace(recipe, weight_bits=least, sparsity=sparsity)
    for factor in () if recipe.policy.from_champion else WIDTHS:
        narrow = tuple(min(width, max(math.ceil(width * factor), recipe.latent)) for width in recipe.hidden)
        if narrow != recipe.hidden:
            yield replace(recipe, weight_bits=least, sparsity=max(recipe.sparsity, 0.5), hidden=narrow)


def _shrinks(before: Recipe, after: Recipe) -> float:
    """Return by which factor the cost should fall: with bits, with weights kept, with connections."""
    kept = (1 - PRUNED_STAYS * after.sparsity) / (1 - PRUNED_STAYS * before.sparsity)
    wide = sum(after.hidden) / sum(before.hidden)
    return after.weight_bits / before.weight_bits * kept * wide
