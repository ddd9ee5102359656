"""Which kinds of running a reference tells apart, and of which kind a lumisection is.

A stratum is what some columns of the conditions say together, such as one prescale column, or one filling scheme.
Only what the conditions say counts: where a column is silent nothing stands in for it.  What a stratum means for an
expectation is told in `drift.streams.Template`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.conditions import Conditions, DeclaredChange
from drift.errors import ReferenceUnfitError
from drift.profile import Layout, LumisectionSummary

COLUMNS: Mapping[str, str] = {"prescale_column": "prescale column", "filling_scheme": "filling scheme"}
"""What may tell strata apart, and in words."""
LEAST_FILLS = 2
"""Fills of a stratum: with a single one nothing tells what is the fill's own from what is the stratum's."""


@dataclass(frozen=True)
class Strata:
    """The strata of a reference.

    Attributes:
        columns: Columns of the conditions that tell them apart; none when the reference has no strata.
        names: Its strata, sorted.
        few: Strata that were left out because they had a single fill.
        lumisections: Lumisections in each of its strata.
    """

    columns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    lumisections: tuple[int, ...] = ()

    def of(self, conditions: Conditions) -> str | None:
        """Return the stratum of a lumisection; None when the reference tells none apart, or a column is silent."""
        return stratum_of(conditions, self.columns) if self.columns else None

    def place(self, name: str) -> int:
        """Return the row of a stratum in what was fitted."""
        return self.names.index(name)

    def lacks(self, conditions: Conditions) -> str:
        """Say why nothing is expected in the stratum of a lumisection; empty when something is."""
        if not self.columns:
            return ""
        silent = [COLUMNS[one] for one in self.columns if getattr(conditions, one) is None]
        if silent:
            return f"{' and '.join(silent)} unknown, and the reference tells strata apart by it"
        name = self.of(conditions)
        if name in self.names:
            return ""
        why = "only a single fill of it" if name in self.few else "none of it"
        return f"{name} is a stratum that the reference does not have ({why})"

    @property
    def advice(self) -> tuple[str, ...]:
        """What was left out and why, in sentences; none when nothing was."""
        if not self.few:
            return ()
        named = ", ".join(self.few[:4]) + (f" and {len(self.few) - 4} more" if len(self.few) > 4 else "")
        return (f"strata left out because they had fewer than {LEAST_FILLS} fills: {named}",)


@dataclass(eq=False)
class _Sums:
    """What the lumisections of one stratum add up to."""

    fills: set[int]
    lumisections: int
    counts: NDArray[np.float64]
    maps: dict[str, NDArray[np.int64]]
    declared: list[set[str]]


class Tally:
    """Sums of lumisections by stratum, so that those of a stratum with too few fills can still be left out.

    Attributes:
        settled: Declared changes in force in all that was kept, once `result` was asked for.
        mixed: Those in force in some of it.
    """

    def __init__(self, layout: Layout, columns: tuple[str, ...]) -> None:
        """Start with nothing; `columns` tell strata apart."""
        self._layout = layout
        self._columns = columns
        self._sums: dict[str, _Sums] = {}
        self.settled: tuple[str, ...] = ()
        self.mixed: tuple[str, ...] = ()

    def _empty(self) -> _Sums:
        maps = {grid.name: np.zeros(grid.shape, dtype=np.int64) for grid in self._layout.maps}
        return _Sums(set(), 0, np.zeros(self._layout.size), maps, [])

    def add(self, stratum: str, fill: int, summary: LumisectionSummary, declared: Iterable[DeclaredChange]) -> None:
        """Add one lumisection, and the declared changes in force in it."""
        if stratum not in self._sums:
            self._sums[stratum] = self._empty()
        one = self._sums[stratum]
        one.fills.add(fill)
        one.lumisections += 1
        names = {change.id for change in declared if change.moves}
        if names not in one.declared:
            one.declared.append(names)
        one.counts += summary.counts
        for kind, seen in summary.maps.items():
            one.maps[kind] += seen

    def result(self) -> tuple[Strata, NDArray[np.float64], dict[str, NDArray[np.int64]]]:
        """Return the strata that are kept, and their flat table and maps summed over all."""
        few = sorted(name for name, one in self._sums.items() if self._columns and len(one.fills) < LEAST_FILLS)
        kept = {name: one for name, one in sorted(self._sums.items()) if name not in few}
        out = self._empty()
        for one in kept.values():
            out.counts += one.counts
            for kind, seen in one.maps.items():
                out.maps[kind] += seen
        sets = [names for one in kept.values() for names in one.declared]
        self.settled = tuple(sorted(set.intersection(*sets))) if sets else ()
        self.mixed = tuple(sorted(set.union(*sets) - {*self.settled})) if sets else ()
        names = tuple(kept) if self._columns else ()
        sizes = tuple(kept[name].lumisections for name in names)
        return Strata(self._columns, names, tuple(few), sizes), out.counts, out.maps


def checked(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return columns that strata can be told apart by.

    Raises:
        ReferenceUnfitError: One of them is not known, or named twice.
    """
    strange = [one for one in columns if one not in COLUMNS]
    if strange or len(set(columns)) != len(columns):
        found = strange[0] if strange else "the same column twice"
        raise ReferenceUnfitError(f"strata by {found} cannot be told apart; known are {', '.join(COLUMNS)}")
    return columns


def stratum_of(conditions: Conditions, columns: tuple[str, ...]) -> str | None:
    """Return the stratum of a lumisection in words; None when a column is silent about it."""
    values = [getattr(conditions, one) for one in columns]
    if any(one is None for one in values):
        return None
    return ", ".join(f"{COLUMNS[name]} {value}" for name, value in zip(columns, values, strict=True))


def lasting(stratum: str) -> str:
    """Return the part of a stratum that holds all fill: its filling scheme; empty when it names none."""
    return next((part for part in stratum.split(", ") if part.startswith(COLUMNS["filling_scheme"])), "")


def members(stratum: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return one where a lumisection is of a stratum, shape ``(n_lumisections, count)``; without strata no columns."""
    return np.asarray(stratum[:, None] == np.arange(count)[None, :], dtype=np.float64)
