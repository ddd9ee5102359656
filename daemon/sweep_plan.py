"""Which recipes a sweep consists of: a base, and what each of them changes in it.

A plan is TOML or JSON: ``[base]`` holds for all, ``[grid]`` gives lists whose every combination is one recipe, and each
``[[recipes]]`` is one more.  What data they learn from, and against which champion, is not theirs to say.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from daemon.errors import SetupError
from retrain.errors import RecipeError
from retrain.recipe import Recipe

MOST = 10_000
GIVEN = ("slot", "lumisections", "contract", "champion", "snapshot", "forget", "action")
"""Fields that the data and the champion decide, the same for every recipe of a sweep."""


@dataclass(frozen=True)
class Entry:
    """One recipe of a sweep, and what it changes in the base."""

    recipe: Recipe
    changes: Mapping[str, Any]


def read_plan(path: Path, base: Recipe) -> list[Entry]:
    """Return the recipes of a plan in its order, each once.

    Args:
        path: The plan; ``.json`` is read as JSON, anything else as TOML.
        base: On the sweep's data; the plan changes it.

    Raises:
        SetupError: It cannot be read, changes what is not its own, states a recipe that cannot be, or none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        plan: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise SetupError(f"the plan {path} cannot be read: {error}") from error
    unknown = sorted(set(plan) - {"base", "grid", "recipes"}) if isinstance(plan, dict) else ["no table"]
    if unknown:
        raise SetupError(f"the plan {path} has {', '.join(unknown)}; expected the tables base, grid and recipes")
    shared = _table(path, plan, "base")
    found: dict[str, Entry] = {}
    for number, changes in enumerate(_changes(path, plan), 1):
        entry = Entry(_changed(path, base, {**shared, **changes}, number), changes)
        found.setdefault(entry.recipe.digest, entry)
        if len(found) > MOST:
            raise SetupError(f"the plan {path} has more than {MOST} recipes; take values out of its grid")
    if not found:
        raise SetupError(f"the plan {path} has no recipe; give [grid] lists of values, or [[recipes]]")
    return list(found.values())


def _changes(path: Path, plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    grid = _table(path, plan, "grid")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SetupError(f"the plan {path}: grid.{name} is {values!r}; expected a list of values")
    if grid:
        for combination in product(*grid.values()):
            yield dict(zip(grid, combination, strict=True))
    rows = plan.get("recipes", [])
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise SetupError(f"the plan {path}: recipes is {rows!r}; expected a list of tables")
    yield from rows


def _table(path: Path, plan: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = plan.get(name, {})
    if not isinstance(table, dict):
        raise SetupError(f"the plan {path}: {name} is {table!r}; expected a table of recipe fields")
    return table


def _changed(path: Path, base: Recipe, changes: Mapping[str, Any], number: int) -> Recipe:
    foreign = [name for name in GIVEN if name in changes]
    if foreign:
        raise SetupError(f"the plan {path}, recipe {number}: {foreign[0]} follows from the data; take it out")
    value = {**base.to_json(), **changes}
    if isinstance(value.get("policy"), str):
        value["policy"] = {"name": value["policy"]}
    try:
        return Recipe.from_json(value)
    except (RecipeError, ValueError) as error:
        raise SetupError(f"the plan {path}, recipe {number}: {error}") from error
