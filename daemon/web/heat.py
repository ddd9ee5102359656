"""An eta-phi map of observed over expected as inline SVG, in colours that colour-blind people tell apart.

Blue is less, orange is more; cells within their counting error are plain, cells that expect too little are grey.
The colours are classes of the style sheet, the alarm's region is outlined.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from daemon.web.drawing import unwrapped

WIDTH, HEIGHT = 360.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 28.0, 8.0, 6.0, 30.0
EDGES = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
CLASSES = ("l4", "l3", "l2", "l1", "m1", "m2", "m3", "m4")
LEGEND = (
    ("l4", "below ¼"), ("l3", "to ½"), ("l2", "to 0.7"), ("l1", "less"), ("s", "as expected, within 2.5 errors"),
    ("m1", "more"), ("m2", "from 1.4"), ("m3", "from 2"), ("m4", "above 4"), ("poor", "too few to say"),
)  # fmt: skip
CLEAR = 2.5
"""Counting errors beyond which a cell is coloured."""
AROUND = 3.0
"""Distance of the outline from the region, so that a single cell is still seen in it."""
LEAST_SHOWN = 0.2
"""Share of a map's cells that must expect enough for it to be drawn."""


def class_of(observed: float, expected: float, poor_below: float) -> str:
    """Return the class of a cell: ``l4`` (least) to ``m4`` (most), ``s`` as expected, ``poor`` when too few are due."""
    if expected < poor_below and observed < 2 * poor_below:
        return "poor"
    if abs(observed - expected) <= CLEAR * math.sqrt(max(expected, 1.0)):
        return "s"
    ratio = observed / max(expected, 1e-9)
    return CLASSES[sum(ratio >= edge for edge in EDGES)]


def ratio_picture(one: Mapping[str, Any], box: Mapping[str, Any] | None, title: str, said: str) -> Markup:
    """Return the picture of one map.

    Args:
        one: A map of an explanation: ``eta`` and ``phi`` edges, ``observed`` and ``expected`` by row.
        box: The alarm's region, outlined when it is of the same object.
        title: Said to screen readers.
        said: What the picture shows, in a sentence.
    """
    eta = [float(edge) for edge in one["eta"]]
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + (min(max(value, eta[0]), eta[-1]) - eta[0]) / (eta[-1] - eta[0]) * across

    def y(value: float) -> float:
        return TOP + (math.pi - value) / (2 * math.pi) * up

    parts = [
        f'<svg class="chart heat" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc>",
        f'<rect class="plane" x="{LEFT:g}" y="{TOP:g}" width="{across:g}" height="{up:g}"/>',
    ]
    columns = len(one["phi"]) - 1
    tall = up / columns
    for kind, runs in _runs(one).items():
        drawn = "".join(
            f"M{x(eta[row]):.1f} {TOP + up - last * tall:.1f}H{x(eta[row + 1]):.1f}v{(last - first) * tall:.1f}"
            f"H{x(eta[row]):.1f}z"
            for row, first, last in runs
        )
        parts.append(f'<path class="{kind}" d="{drawn}"/>')
    named = [tick for tick in range(math.ceil(eta[0]), math.floor(eta[-1]) + 1) if tick % 2 == 0 or eta[-1] < 3]
    parts += [f'<text x="{x(tick):.1f}" y="{TOP + up + 13:g}" text-anchor="middle">{tick}</text>' for tick in named]
    for value, name in ((-math.pi, "-π"), (0.0, "0"), (math.pi, "π")):
        parts.append(
            f'<text x="{LEFT - 4:g}" y="{min(max(y(value) + 4, 14), TOP + up):.1f}" text-anchor="end">{name}</text>'
        )
    if box is not None and box.get("object") == one.get("object"):
        low, high = sorted(float(edge) for edge in box["eta"])
        for begin, end in unwrapped(float(box["phi"][0]), float(box["phi"][1])):
            wide, deep = x(high) - x(low) + 2 * AROUND, y(begin) - y(end) + 2 * AROUND
            place = f'x="{x(low) - AROUND:.1f}" y="{y(end) - AROUND:.1f}" width="{wide:.1f}" height="{deep:.1f}"'
            parts.append(f'<rect class="halo" {place}/><rect class="outline" {place}/>')
    parts.append(f'<text x="{LEFT + across / 2:g}" y="{HEIGHT - 3:g}" text-anchor="middle">η</text>')
    parts.append(f'<text x="{LEFT - 6:g}" y="{TOP + up / 4:.1f}" text-anchor="end">φ</text></svg>')
    return Markup("".join(parts))  # noqa: S704  # every text in it was escaped or is a number


def _runs(one: Mapping[str, Any]) -> dict[str, list[tuple[int, int, int]]]:
    """Return neighbouring cells of one class as row, first and one past last column."""
    found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    poor = float(one["poor_below"])
    for row, (seen, due) in enumerate(zip(one["observed"], one["expected"], strict=True)):
        kinds = [class_of(float(a), float(b), poor) for a, b in zip(seen, due, strict=True)]
        first = 0
        for place in range(1, len(kinds) + 1):
            if place == len(kinds) or kinds[place] != kinds[first]:
                found[kinds[first]].append((row, first, place))
                first = place
    return dict(sorted(found.items()))


def readable(one: Mapping[str, Any]) -> bool:
    """Return whether enough of a map's cells say anything to draw it."""
    poor = float(one["poor_below"])
    due = [float(cell) for row in one["expected"] for cell in row]
    return sum(cell >= poor for cell in due) >= LEAST_SHOWN * len(due)


def loudest_cells(maps: Sequence[Mapping[str, Any]], most: int = 10) -> list[dict[str, Any]]:
    """Return the cells that depart most in counting errors, for those who read tables."""
    found = []
    for one in maps:
        for row, (seen, due) in enumerate(zip(one["observed"], one["expected"], strict=True)):
            for column, (a, b) in enumerate(zip(seen, due, strict=True)):
                if class_of(float(a), float(b), float(one["poor_below"])) != "poor":
                    place = {"eta": one["eta"][row : row + 2], "phi": one["phi"][column : column + 2]}
                    pull = (a - b) / math.sqrt(max(b, 1.0))
                    found.append({"map": one["map"], **place, "observed": a, "expected": b, "pull": pull})
    return sorted(found, key=lambda cell: -abs(cell["pull"]))[:most]
