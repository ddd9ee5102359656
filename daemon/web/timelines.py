"""Numbers by lumisection as inline SVG: a pull with its benign band, or a region's observed over expected.

Lumisections are evenly spaced, a gap between fills is a thin line, and what came since the onset is shaded.  Each
picture says in words what it shows.  Colours come from the style sheet by class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360.0, 132.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 8.0, 8.0, 20.0
STEPS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
MOST_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """The lumisections along which everything is drawn.

    Attributes:
        first: Name of the first, ``run:lumisection``.
        last: Name of the last.
        count: How many there are.
        onset: Place of the first since the onset.
        breaks: Places at which another fill begins.
    """

    first: str
    last: str
    count: int
    onset: int
    breaks: tuple[int, ...]

    def x(self, place: float) -> float:
        """Return where a lumisection is drawn."""
        return LEFT + (place + 0.5) / max(self.count, 1) * (WIDTH - LEFT - RIGHT)


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def y(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return TOP + (self.high - inside) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> list[float]:
        step = next((one for one in STEPS if (self.high - self.low) / one <= MOST_TICKS), STEPS[-1] * 10)
        return [one * step for one in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def pull_chart(pulls: Sequence[float | None], band: tuple[float, float], axis: Axis, title: str, said: str) -> Markup:
    """Return one stream's pulls.

    Args:
        pulls: Value over benign spread by lumisection, None where nothing was kept.
        band: Pulls within which one lumisection is nothing to look at.
        axis: The lumisections.
        title: Said to screen readers.
        said: What the picture shows, in a sentence.
    """
    known = [one for one in pulls if one is not None]
    scale = _Scale(min([band[0] - 1, *known]) * 1.04, max([band[1] + 1, *known]) * 1.04)
    inner = _shade(scale.y(band[1]), scale.y(band[0]))
    return _framed(axis, scale, inner + _line(pulls, axis, scale) + _dots(pulls, band, axis, scale), title, said)


def ratio_chart(
    observed: Sequence[int | None], expected: Sequence[float | None], axis: Axis, title: str, said: str
) -> Markup:
    """Return a region's observed over expected with counting errors, and the band that counting leaves open."""
    ratios: list[float | None] = []
    bars, spreads = [], []
    for seen, due in zip(observed, expected, strict=True):
        ratios.append(None if seen is None or not due else seen / due)
        bars.append(math.sqrt(max(seen or 0, 1)) / due if due else 0.0)
        spreads.append(2 / math.sqrt(due) if due else 0.0)
    tallest = max((one + bar for one, bar in zip(ratios, bars, strict=True) if one is not None), default=1.0)
    scale = _Scale(0.0, max(2.0, tallest * 1.04))
    parts = []
    half = (axis.x(1) - axis.x(0)) / 2
    for place, spread in enumerate(spreads):
        if ratios[place] is not None:
            top, bottom = scale.y(1 + spread), scale.y(1 - spread)
            left = axis.x(place) - half
            parts.append(f"M{left:.1f} {top:.1f}h{2 * half:.2f}V{bottom:.1f}h{-2 * half:.2f}z")
    inner = f'<path class="band" d="{"".join(parts)}"/>'
    for place, (ratio, bar) in enumerate(zip(ratios, bars, strict=True)):
        if ratio is not None:
            x = axis.x(place)
            inner += f'<path class="bar" d="M{x:.1f} {scale.y(ratio + bar):.1f}V{scale.y(ratio - bar):.1f}"/>'
    bands = [(1 - spread, 1 + spread) for spread in spreads]
    for place, ratio in enumerate(ratios):
        inner += _dots([ratio], bands[place], axis, scale, first=place)
    return _framed(axis, scale, inner, title, said, unit=1.0)


def _shade(top: float, bottom: float) -> str:
    return (
        f'<rect class="band" x="{LEFT:g}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT:g}" '
        f'height="{max(bottom - top, 0):.1f}"/>'
    )


def _line(values: Sequence[float | None], axis: Axis, scale: _Scale) -> str:
    path, pen = "", False
    for place, value in enumerate(values):
        if value is None or place in axis.breaks:
            pen = False
        if value is not None:
            path += f"{'L' if pen else 'M'}{axis.x(place):.1f} {scale.y(value):.1f}"
            pen = True
    return f'<path class="line" d="{path}"/>' if path else ""


def _dots(values: Sequence[float | None], band: tuple[float, float], axis: Axis, scale: _Scale, first: int = 0) -> str:
    return "".join(
        f'<circle class="{"dot" if band[0] <= value <= band[1] else "dot out"}" cx="{axis.x(first + place):.1f}" '
        f'cy="{scale.y(value):.1f}" r="2.2"/>'
        for place, value in enumerate(values)
        if value is not None
    )


def _framed(axis: Axis, scale: _Scale, inner: str, title: str, said: str, unit: float = 0.0) -> Markup:
    """Return the picture: frame, shading since the onset, ticks, what was drawn, names of the ends."""
    left, right, floor = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    begin = axis.x(axis.onset - 0.5)
    wide, tall = max(right - begin, 0.0), floor - TOP
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc>",
        f'<rect class="plane" x="{left:g}" y="{TOP:g}" width="{right - left:g}" height="{tall:g}"/>',
        f'<rect class="since" x="{begin:.1f}" y="{TOP:g}" width="{wide:.1f}" height="{tall:g}"/>',
    ]
    for tick in scale.ticks():
        parts.append(f'<path class="grid" d="M{left:g} {scale.y(tick):.1f}H{right:g}"/>')
        parts.append(f'<text x="{left - 4:g}" y="{scale.y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts += [f'<path class="seam" d="M{axis.x(one - 0.5):.1f} {TOP:g}V{floor:g}"/>' for one in axis.breaks]
    parts.append(f'<path class="zero" d="M{left:g} {scale.y(unit):.1f}H{right:g}"/>{inner}')
    parts.append(f'<path class="onset" d="M{begin:.1f} {TOP:g}V{floor + 4:g}"/>')
    parts += _names(axis, begin)
    return Markup("".join(parts) + "</svg>")  # noqa: S704  # every text in it was escaped or is a number


def _names(axis: Axis, begin: float) -> list[str]:
    """Name the first and last lumisection and the onset, leaving out what would lie on it."""
    level = HEIGHT - 5
    place = min(max(begin, 60.0), WIDTH - 30)
    named = [f'<text class="loud" x="{place:.1f}" y="{level:g}" text-anchor="middle">onset</text>']
    if begin > 150:
        named.append(f'<text x="{LEFT:g}" y="{level:g}">{escape(axis.first)}</text>')
    if begin < 230:
        named.append(f'<text x="{WIDTH - RIGHT:g}" y="{level:g}" text-anchor="end">{escape(axis.last)}</text>')
    return named
