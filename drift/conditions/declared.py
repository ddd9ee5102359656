"""Changes that people declared: a new calibration, a mask, a menu, firmware; what each touches and how long it holds.

A declaration is no excuse for everything: inside its interval only the objects it names, or the region of one object,
stop being compared with the reference.  Parsing is strict, because a misread declaration would silence the wrong part
of the detector.  Nothing here reads a file or decides anything.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drift.text_forms import json_of
from drift.towers import turned, widened

Place = tuple[int, int]
"""Run and lumisection."""
KINDS = ("calibration", "mask", "menu", "firmware")
OBJECTS = ("MET", "EG", "MU", "JET")
REACH = {"JET": 7, "EG": 2, "MU": 0}
"""How many towers away objects change when towers do.

A jet is 9 x 9 towers less what strips three towers wide around it hold, so that it sees 7 towers to each side; a
cluster and its hadronic veto see 2.  Measured with the simulated hole of 2018 (`drift.simulate`, 40 000 crossings each
way, seed 25000): 8 to 25 % more jets above 20 GeV at 4 to 7 towers, and the very same ones beyond.
"""
KNOWN = frozenset({"id", "kind", "first", "last", "objects", "region", "words", "by"})


@dataclass(frozen=True, order=True)
class Region:
    """Part of the map of one object type.

    Attributes:
        object: ``EG``, ``MU`` or ``JET``; missing momentum has no map.
        eta: Low and high pseudorapidity.
        phi: Low and high azimuth, radians; high may pass pi when the region wraps.
    """

    object: str
    eta: tuple[float, float]
    phi: tuple[float, float]

    @property
    def reached(self) -> "Region":
        """Where objects can lie that see a part of it: what must not be compared when its towers are masked."""
        towers = REACH[self.object]
        return Region(self.object, widened(*self.eta, towers), turned(*self.phi, towers))

    def to_json(self) -> dict[str, Any]:
        """Return the form that `region_of` reads."""
        return {"object": self.object, "eta": list(self.eta), "phi": list(self.phi)}


@dataclass(frozen=True)
class DeclaredChange:
    """One declared change.

    Attributes:
        id: Its name, unique in a folder.
        kind: ``calibration``, ``mask``, ``menu`` or ``firmware``.
        first: First lumisection in which it holds.
        last: Last one, None while it goes on.
        objects: Object types it touches; empty when nobody said.
        region: The part of one object type that it touches, when it is not all of it.
        words: What it is.
        by: Who declared it.
    """

    id: str
    kind: str
    first: Place
    last: Place | None
    objects: tuple[str, ...]
    region: Region | None
    words: str
    by: str

    def holds(self, place: Place) -> bool:
        """Whether it is in force in a lumisection."""
        return self.first <= place and (self.last is None or place <= self.last)

    @property
    def unscoped(self) -> bool:
        """Whether it may touch anything: nobody said what, and it is no menu, which moves no zero-bias input."""
        return not self.objects and self.region is None and self.kind != "menu"

    @property
    def moves(self) -> bool:
        """Whether it may move any input."""
        return self.unscoped or bool(self.objects) or self.region is not None

    def to_json(self) -> dict[str, Any]:
        """Return the form that `change_of` reads."""
        return {
            "id": self.id,
            "kind": self.kind,
            "first": _place_json(self.first),
            "last": None if self.last is None else _place_json(self.last),
            "objects": list(self.objects),
            **({} if self.region is None else {"region": self.region.to_json()}),
            "words": self.words,
            "by": self.by,
        }


def parse_changes(text: str) -> tuple[tuple[DeclaredChange, ...], tuple[str, ...], bool]:
    """Read a JSON list of declared changes, or one object a line.

    Returns:
        The changes that were understood, what was not in one sentence each, and whether the text as a whole could be
        read; when not, an earlier reading of the file still stands.
    """
    entries, faults = _entries(text)
    whole = not faults
    found: dict[str, DeclaredChange] = {}
    for number, entry in entries:
        try:
            change = change_of(entry)
        except (ValueError, TypeError) as error:
            faults.append(f"declared change {number}: {error}")
            continue
        except RecursionError:
            faults.append(f"declared change {number}: brackets stand in brackets too deep")
            continue
        if change.id in found:
            faults.append(f"declared change {number}: {change.id!r} is declared before; the first declaration holds")
        else:
            found[change.id] = change
    return tuple(found.values()), tuple(faults), whole


def _entries(text: str) -> tuple[list[tuple[int, object]], list[str]]:
    """Return numbered entries and what is no JSON."""
    if text.lstrip().startswith("["):
        try:
            tree = json_of(text)
        except ValueError as error:
            return [], [f"is no JSON ({error}); half written files are read again when they change"]
        return list(enumerate(tree, start=1)), []
    entries: list[tuple[int, object]] = []
    faults: list[str] = []
    with contextlib.suppress(ValueError):
        return [(1, json_of(text))], faults  # a single one, laid out over lines
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                entries.append((number, json_of(line)))
            except ValueError as error:
                faults.append(f"line {number} is no JSON object ({error}): {line[:60]!r}; write one change a line")
    return entries, faults


def change_of(entry: object) -> DeclaredChange:
    """Return one entry as a change.

    Raises:
        ValueError: Something is missing, unknown or contradicts itself; the message says what and what is expected.
        TypeError: Something has another type than expected.
    """
    if not isinstance(entry, Mapping):
        raise TypeError(f"is {entry!r:.60}, expected an object with {', '.join(sorted(KNOWN))}")
    unknown = sorted(map(str, entry.keys() - KNOWN))
    if unknown:
        raise ValueError(f"has {', '.join(unknown)}, which means nothing here; known are {', '.join(sorted(KNOWN))}")
    kind = _text(entry, "kind")
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not known; known are {', '.join(KINDS)}")
    first = _place(entry.get("first"), "first")
    if "last" not in entry:
        raise ValueError("last is missing; give a run and a lumisection, or null while the change goes on")
    last = None if entry["last"] is None else _place(entry["last"], "last")
    if last is not None and last < first:
        raise ValueError(f"last {last[0]}:{last[1]} is before first {first[0]}:{first[1]}")
    region = None if entry.get("region") is None else region_of(entry["region"])
    if kind == "menu" and region is not None:
        raise ValueError("a menu has no region; declare a mask")
    objects = _objects(entry.get("objects", []))
    return DeclaredChange(
        _text(entry, "id"), kind, first, last, objects, region, _text(entry, "words"), _text(entry, "by")
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r:.40}, expected words")
    return value.strip()


def _place(value: object, name: str) -> Place:
    if not isinstance(value, Mapping) or value.keys() != {"run", "lumisection"}:
        raise ValueError(f'{name} is {value!r:.60}, expected {{"run": …, "lumisection": …}}')
    for number in value.values():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} holds {number!r:.40}, expected whole numbers from 1")
    return value["run"], value["lumisection"]


def _place_json(place: Place) -> dict[str, int]:
    return {"run": place[0], "lumisection": place[1]}


def _objects(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"objects is {value!r:.60}, expected a list of {', '.join(OBJECTS)}")
    strange = [one for one in value if one not in OBJECTS]
    if strange:
        raise ValueError(f"object {strange[0]!r:.40} is not known; known are {', '.join(OBJECTS)}")
    return tuple(one for one in OBJECTS if one in value)


def region_of(value: object) -> Region:
    """Return a region from its JSON form.

    Raises:
        ValueError: It is no region; the message says what is expected.
    """
    if not isinstance(value, Mapping) or value.keys() != {"object", "eta", "phi"}:
        raise ValueError(f"region is {value!r:.80}, expected object, eta and phi")
    if value["object"] not in OBJECTS or value["object"] == "MET":
        raise ValueError(f"region has object {value['object']!r:.40}, expected one that has a map: EG, MU or JET")
    eta, phi = _span(value["eta"], "eta"), _span(value["phi"], "phi")
    if phi[1] - phi[0] > 2 * math.pi + 1e-6:
        raise ValueError(f"region phi {phi[0]} to {phi[1]} is more than a turn; give radians")
    return Region(str(value["object"]), eta, phi)


def _span(value: object, name: str) -> tuple[float, float]:
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    good = [float(one) for one in numbers if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) != 2 or len(good) != 2 or not all(map(math.isfinite, good)) or good[0] >= good[1]:
        raise ValueError(f"region {name} is {value!r:.60}, expected [low, high] with low below high")
    return good[0], good[1]
