"""What a lumisection is compared under: its stratum, the declared changes in force, and what takes no part.

A standing is a small frozen value, so that a remembered lumisection can say under which one it was compared.  What an
expectation looks like under it is `drift.views`'s question.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from drift.conditions import Conditions, Region
from drift.conditions.declared import Place, region_of
from drift.strata import Strata


@dataclass(frozen=True)
class Rebaselined:
    """A declared change whose interval has constants of its own in a reference.

    Attributes:
        id: Of the change.
        first: First lumisection of the interval, run and number.
        last: Last one, None when it had no end.
        objects: Object types whose constants are the interval's own.
        region: Region that the change declared; nothing is said about it.
        fills: Fills that the constants were fitted from.
        lumisections: Lumisections that they were fitted from.
        share: Variance of a mean over those fills per unit variance of fill offsets.
    """

    id: str
    first: Place
    last: Place | None
    objects: tuple[str, ...]
    region: Region | None
    fills: tuple[int, ...]
    lumisections: int
    share: float

    def holds(self, place: Place) -> bool:
        """Whether a lumisection lies in its interval."""
        return self.first <= place and (self.last is None or place <= self.last)

    def to_json(self) -> dict[str, Any]:
        """Return the form that a reference stores."""
        return {
            "id": self.id,
            "first": list(self.first),
            "last": None if self.last is None else list(self.last),
            "objects": list(self.objects),
            "region": None if self.region is None else self.region.to_json(),
            "fills": list(self.fills),
            "lumisections": self.lumisections,
            "share": self.share,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Rebaselined":
        """Return what `to_json` took apart."""
        region, last = body["region"], body["last"]
        return cls(
            body["id"],
            (body["first"][0], body["first"][1]),
            None if last is None else (last[0], last[1]),
            tuple(body["objects"]),
            None if region is None else region_of(region),
            tuple(body["fills"]),
            body["lumisections"],
            body["share"],
        )


@dataclass(frozen=True)
class Standing:
    """What a lumisection is compared under.

    Attributes:
        stratum: Its stratum; empty when the reference tells none apart.
        rebaselined: Declared changes in force that have constants of their own in the reference.
        muted: Object types that take no part.
        masked: Regions that were declared; they take no part, nor does what sees them from around (`Region.reached`).
        smooth: Object types of which only the map is looked at, for holes: a change was seen to move the rest.
    """

    stratum: str = ""
    rebaselined: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    masked: tuple[Region, ...] = ()
    smooth: tuple[str, ...] = ()

    def to_json(self) -> list[Any]:
        """Return the form that a saved watch holds; empty for what most lumisections are compared under."""
        if self == PLAIN:
            return []
        return [self.stratum, self.rebaselined, self.muted, [one.to_json() for one in self.masked], self.smooth]

    @classmethod
    def from_json(cls, body: list[Any]) -> "Standing":
        """Return what `to_json` took apart."""
        if not body:
            return PLAIN
        stratum, rebaselined, muted, masked, smooth = body
        regions = tuple(region_of(one) for one in masked)
        return cls(stratum, tuple(rebaselined), tuple(muted), regions, tuple(smooth))

    @classmethod
    def of(
        cls, conditions: Conditions, strata: Strata, rebaselined: Iterable[Rebaselined], settled: tuple[str, ...]
    ) -> "Standing":
        """Return what a lumisection is compared under.

        A declaration that people end or move later is in force as it is declared now, whatever its interval was when
        constants were fitted; and where a change that the whole reference was taken under is over, what it touched is
        not what the reference expects.

        Args:
            conditions: Of the lumisection.
            strata: Of the reference.
            rebaselined: Intervals of declared changes that the reference has constants for.
            settled: Declared changes that all of the reference was taken under: they are what it expects.
        """
        place = (conditions.run, conditions.lumisection)
        over = {one.id for one in conditions.elsewhere}
        held = [one for one in rebaselined if one.holds(place) and one.id not in over]
        known = {one.id for one in held}
        muted: set[str] = set()
        masked = {one.region for one in held if one.region is not None}
        undone = [one for one in conditions.elsewhere if one.id in settled]
        for change in (*(one for one in conditions.declared if one.id not in settled), *undone):
            if change.region is not None:
                masked.add(change.region)
            if change.id not in known:
                muted.update(one for one in change.objects if change.region is None or one != change.region.object)
        stratum = strata.of(conditions)
        return cls(stratum or "", tuple(one.id for one in held), tuple(sorted(muted)), tuple(sorted(masked)))

    def smoothing(self, objects: Iterable[str]) -> "Standing":
        """Return it with more object types of which only the map is looked at."""
        return replace(self, smooth=tuple(sorted({*self.smooth, *objects})))


PLAIN = Standing()
