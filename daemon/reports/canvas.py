"""The common ground of a report's figures: style, colours, the axis of lumisections, and bytes that repeat.

Matplotlib is imported here and in the figures alone, which a child process pays for.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import mplhep
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

INK, SOFT, GRID = "#1a2029", "#55606e", "#d6dbe1"
BLUE, RED, ORANGE, GREEN, GREY = "#1c6fb8", "#a8201a", "#d1741a", "#1a7440", "#aab3bd"
SINCE = "#fdeed8"
"""Shade of everything since the onset."""
POOR = "#e2e5e9"
RATIO = LinearSegmentedColormap.from_list(
    "ratio", ["#0a3f7d", "#3579bd", "#82b4de", "#ffffff", "#f0aa55", "#d1741a", "#8a4300"]
)
HALO = withStroke(linewidth=3.0, foreground="white")
OWN = {
    "svg.hashsalt": "retrigger",
    "svg.fonttype": "path",
    "font.size": 10.5,
    "axes.labelsize": 11,
    "axes.titlesize": 12,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "xtick.major.size": 5,
    "ytick.major.size": 5,
    "xtick.minor.size": 2.5,
    "ytick.minor.size": 2.5,
    "figure.figsize": (11.0, 3.2),
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "text.color": INK,
    "image.resample": False,
}
MOST_TICKS = 9
MOST_POINTS = 120
"""Points along the axis of lumisections; in longer fills neighbours are drawn as one."""
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@contextmanager
def style() -> Iterator[None]:
    """Draw inside as experiments do: mplhep's CMS style, smaller, with identifiers that repeat."""
    chosen: Any = {**mplhep.style.CMS, **OWN}
    with mpl.rc_context(chosen):
        yield


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG: equal figures are equal bytes."""
    FigureCanvasSVG(figure)
    sink = io.BytesIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(sink, format="svg", metadata=nothing, bbox_inches="tight", pad_inches=0.06)
    return sink.getvalue()


def stretches(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each unbroken row of ascending places."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


def groups(places: Sequence[int], onset: int | None, size: int = 1) -> list[tuple[int, int]]:
    """Return first and one past last of each group of neighbours, so many that they can be read.

    Args:
        places: Where along the axis.
        onset: No group reaches over it.
        size: Fewest neighbours in a group.
    """
    size = max(size, math.ceil(len(places) / MOST_POINTS))
    split = len(places) if onset is None else sum(place < onset for place in places)
    edges = [*range(0, split, size), *range(split, len(places), size), len(places)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


class Line:
    """The lumisections of a fill along an axis, evenly spaced.

    Attributes:
        names: ``run:lumisection`` of each, in order.
        onset: Where the leading alarm began, None without one.
        alarms: Where alarms were told.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Lay out the lumisections of a report's content."""
        rows = content["lumisections"]
        self._places = [(row["run"], row["lumisection"]) for row in rows]
        self.names = [f"{run}:{lumisection}" for run, lumisection in self._places]
        compared = set(content["compared"])
        self._blind = [place for place, name in enumerate(self.names) if name not in compared]
        lead = content["lead"]
        began = None if lead is None else (lead["onset"]["run"], lead["onset"]["lumisection"])
        self.onset = None if began is None else self._first_since(began)
        self.alarms = [self._first_since((one["run"], one["lumisection"])) for one in content["alarms"]]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)

    def _first_since(self, began: tuple[int, int]) -> int:
        return next((place for place, one in enumerate(self._places) if one >= began), len(self._places))

    def places_of(self, names: Sequence[str]) -> list[int]:
        """Return where these lumisections are drawn."""
        at = {name: place for place, name in enumerate(self.names)}
        return [at[name] for name in names]

    def since(self, name: str) -> bool:
        """Return whether a lumisection lies after the onset."""
        return self.onset is not None and self.names.index(name) >= self.onset

    def dress(self, axes: Axes, *, named: bool = True, shaded: bool = True) -> None:
        """Shade what came since the onset (grey: not compared), mark onset and alarms, and name lumisections."""
        axes.set_xlim(-0.5, max(len(self) - 0.5, 0.5))
        if self.onset is not None:
            if shaded:
                axes.axvspan(self.onset - 0.5, max(len(self) - 0.5, self.onset), color=SINCE, zorder=0, linewidth=0)
            axes.axvline(self.onset - 0.5, color=ORANGE, linewidth=2.2, zorder=4)
        for first, last in stretches(self._blind) if shaded else ():
            axes.axvspan(first - 0.5, last + 0.5, color=POOR, zorder=0.5, linewidth=0)
        for place in self.alarms:
            axes.axvline(place, color=RED, linewidth=1.8, linestyle=(0, (4, 2)), zorder=4)
        for place in range(1, len(self)):
            if self._places[place][0] != self._places[place - 1][0]:
                axes.axvline(place - 0.5, color=SOFT, linewidth=0.8, zorder=1)
        step = next((one for one in STEPS if len(self) / one <= MOST_TICKS), STEPS[-1])
        ticks = [place for place, (_, number) in enumerate(self._places) if number % step == 0 or step == 1]
        axes.set_xticks(ticks, [str(self._places[place][1]) if named else "" for place in ticks])
        axes.minorticks_off()
        if named and self._places:
            runs = sorted({run for run, _ in self._places})
            axes.set_xlabel(f"lumisection of run {runs[0]}" + (f" to {runs[-1]}" if len(runs) > 1 else ""))
