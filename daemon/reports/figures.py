"""The figures of a report that every fill has: what is seen at a glance, the machine, maps, pulls.

Each takes the content and returns SVG; what they say in colour they also say in shape.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from daemon.reports.canvas import (
    BLUE,
    GREEN,
    GREY,
    HALO,
    INK,
    MOST_POINTS,
    ORANGE,
    POOR,
    RATIO,
    RED,
    SOFT,
    Line,
    groups,
    stretches,
    svg,
)

Content = Mapping[str, Any]
CLEAR = 2.5
"""Counting errors beyond which a cell of a map is coloured."""
FAR = 4.0
"""Errors beyond which a point of the region is marked: counting errors, widened by how points scattered before."""
LEAST_BEFORE = 4
"""Points before the onset that say how far such points lie from what is due by themselves."""
DEEPEST = 2.0
"""Powers of two at which a map's colours end."""
OF_A_RESULT = {"watched": GREEN, "late": GREY, "excluded": GREY, "duplicate": GREY}
MOST_MAPS = 12
MOST_STREAMS = 36
FARTHEST_PULL = 6.0


def glance(content: Content) -> bytes:
    """Return the first figure: evidence against budget, the region by lumisection, the map with its hole boxed."""
    lead, inside = content["lead"], content["inside"]
    hole = None if lead is None or inside is None else _map_named(content, inside["map"])
    figure = Figure(figsize=(11.0, 4.9), layout="constrained")
    grid = figure.add_gridspec(2, 2 if hole else 1, width_ratios=[1.25, 1.0] if hole else [1.0])
    line = Line(content)
    above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    _evidence(above, content, line)
    line.dress(above, named=False)
    if inside is not None:
        _region(below, content, line)
    else:
        _pileup(below, content)
    line.dress(below)
    if hole is not None:
        axes = figure.add_subplot(grid[:, 1])
        draw_map(axes, hole, None if lead is None else lead["box"])
        axes.set_title(f"{hole['object']} since onset, observed / expected", pad=8)
        bar = figure.colorbar(_scale(), ax=axes, orientation="horizontal", fraction=0.05, pad=0.02, aspect=32)
        bar.set_ticks([-2, -1, 0, 1, 2], labels=["¼", "½", "1", "2", "4"])
        bar.ax.minorticks_off()
    return svg(figure)


def _evidence(axes: Axes, content: Content, line: Line) -> None:
    rows = [(place, row["log_evidence"]) for place, row in enumerate(content["lumisections"]) if "log_evidence" in row]
    budget = content["budget"]
    axes.axhline(budget, color=RED, linewidth=1.4)
    top = max([budget * 1.35, *(min(value, 4 * budget) for _, value in rows)]) * 1.08
    axes.text(
        0.985, budget, "alarm budget", color=RED, va="top", ha="right", fontsize=9.5, path_effects=[HALO],
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    if rows:
        xs, values = zip(*rows, strict=True)
        form = "o" if len(xs) <= MOST_POINTS else None
        axes.plot(xs, np.clip(values, None, top), color=BLUE, marker=form, markersize=3)
    low = min([0.0, *(value for _, value in rows)])
    axes.set_ylim(max(low, -0.35 * top) - 0.03 * top, top)
    axes.set_ylabel("log evidence")
    if line.onset is not None:
        axes.text(
            line.onset - 0.5, 1.02, "onset", color=ORANGE, weight="bold", ha="right", va="bottom",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    for place in line.alarms[:1]:
        axes.text(
            place, 1.02, "alarm", color=RED, weight="bold", ha="left", va="bottom", transform=axes.get_xaxis_transform()
        )


def _region(axes: Axes, content: Content, line: Line) -> None:
    """Draw what the alarm's region held over what was due, with counting errors, merged so that it can be read."""
    inside, places = content["inside"], line.places_of(content["compared"])
    typical = float(np.mean(inside["expected"])) if inside["expected"] else 0.0
    merged = max(1, min(8, math.ceil(10.0 / max(typical, 0.5))))
    axes.axhline(1.0, color=SOFT, linewidth=1.0)
    points = [
        (float(np.mean(places[first:last])), sum(inside["observed"][first:last]), sum(inside["expected"][first:last]))
        for first, last in groups(places, line.onset, merged)
    ]
    points = [one for one in points if one[2] > 0]
    wide = widened(points, line.onset)
    for at, seen, due in points:
        ratio, error = seen / due, wide * math.sqrt(max(seen, 1)) / due
        far = abs(seen - due) > FAR * wide * math.sqrt(due)
        axes.errorbar(at, ratio, error, fmt="s" if far else "o", color=RED if far else INK, markersize=5, capsize=0)
    axes.set_ylim(0.0, 2.0)
    axes.set_ylabel(f"{content['lead']['object']} in the box,\nseen / expected")


def widened(points: Sequence[tuple[float, int, float]], onset: int | None) -> float:
    """Return by how much points before the onset scatter more than counting errors, at least 1."""
    before = [(seen - due) / math.sqrt(due) for at, seen, due in points if onset is None or at < onset]
    return 1.0 if len(before) < LEAST_BEFORE else max(1.0, float(np.std(before)))


def machine(content: Content) -> bytes:
    """Return pileup, prescale column and what became of each lumisection."""
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, gridspec_kw={"height_ratios": [3, 1.2, 0.8]})
    line = Line(content)
    _pileup(top, content)
    line.dress(top, named=False)
    columns = [row["prescale_column"] for row in content["lumisections"]]
    known = [one for one in dict.fromkeys(columns) if one is not None]
    pairs = [(place, known.index(one)) for place, one in enumerate(columns) if one is not None]
    middle.plot([x for x, _ in pairs], [y for _, y in pairs], color=INK, drawstyle="steps-mid")
    middle.set_yticks(range(len(known)), known, fontsize=9.5 if len(known) <= 4 else 6)
    middle.set_ylim(-0.6, max(len(known) - 0.4, 0.6))
    middle.set_ylabel("prescale\ncolumn")
    line.dress(middle, named=False)
    results = [row["result"] for row in content["lumisections"]]
    for result in dict.fromkeys(results):
        high = 1.0 if result == "watched" else 0.55
        for first, last in stretches([place for place, one in enumerate(results) if one == result]):
            place, wide = (first - 0.5, 0.0), last - first + 1.0
            bottom.add_patch(Rectangle(place, wide, high, color=OF_A_RESULT.get(result, ORANGE), linewidth=0))
    bottom.set_ylim(0, 1.1)
    bottom.set_yticks([])
    bottom.set_ylabel("watched")
    line.dress(bottom)
    return svg(figure)


def _pileup(axes: Axes, content: Content) -> None:
    pairs = [(place, row["pileup"]) for place, row in enumerate(content["lumisections"]) if row["pileup"] is not None]
    form = "." if len(pairs) <= MOST_POINTS else None
    axes.plot([x for x, _ in pairs], [y for _, y in pairs], color=INK, marker=form, markersize=3)
    axes.set_ylabel("pileup")
    axes.margins(y=0.15)


def maps(content: Content) -> bytes:
    """Return every map of the fill, the alarm's region boxed on those of its object."""
    shown = content["maps"][:MOST_MAPS]
    columns = min(3, max(len(shown), 1))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(11.0, 2.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    lead = content["lead"]
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.set_axis_off()
            continue
        draw_map(axes, shown[place], None if lead is None else lead.get("box"))
        axes.set_title(shown[place]["map"])
    bar = figure.colorbar(_scale(), ax=grid, fraction=0.02, pad=0.01, aspect=40)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["¼", "½", "1", "2", "4"])
    bar.ax.minorticks_off()
    bar.set_label("observed / expected")
    return svg(figure)


def draw_map(axes: Axes, one: Mapping[str, Any], box: Mapping[str, Any] | None) -> None:
    """Draw one map of observed over expected; cells within their counting error are white, empty ones grey."""
    seen, due = np.asarray(one["observed"], dtype=float), np.asarray(one["expected"], dtype=float)
    power = np.log2(np.maximum(seen, 0.2) / np.maximum(due, 1e-9))
    power[np.abs(seen - due) <= CLEAR * np.sqrt(np.maximum(due, 1.0))] = 0.0
    poor = (due < one["poor_below"]) & (seen < 2 * one["poor_below"])
    axes.set_facecolor(POOR)
    shown = np.ma.masked_array(power, poor)
    axes.pcolormesh(
        one["eta"], one["phi"], shown.T, cmap=RATIO, vmin=-DEEPEST, vmax=DEEPEST, rasterized=True, linewidth=0
    )
    axes.set_xlabel("η")
    axes.set_ylabel("φ")
    axes.set_yticks([-np.pi, 0.0, np.pi], ["-π", "0", "π"])
    axes.set_ylim(-np.pi, np.pi)
    axes.minorticks_off()
    if box is not None and box["object"] == one["object"]:
        for low, high in unwrapped(*box["phi"]):
            place, wide, tall = (box["eta"][0], low), box["eta"][1] - box["eta"][0], high - low
            for colour, width in (("white", 5.0), (RED, 2.6)):
                axes.add_patch(Rectangle(place, wide, tall, fill=False, edgecolor=colour, linewidth=width, zorder=5))


def unwrapped(low: float, high: float) -> list[tuple[float, float]]:
    """Return a span of azimuth as the one or two parts that lie between -pi and pi."""
    if high <= math.pi:
        return [(low, high)]
    return [(low, math.pi), (-math.pi, high - 2 * math.pi)]


def _map_named(content: Content, name: str) -> Mapping[str, Any] | None:
    return next((one for one in content["maps"] if one["map"] == name), None)


def _scale() -> ScalarMappable:
    return ScalarMappable(Normalize(-DEEPEST, DEEPEST), RATIO)


def pulls(content: Content) -> bytes:
    """Return the input streams that moved most, by lumisection, as a heat map of pulls."""
    values = np.array([[np.nan if one is None else one for one in row] for row in content["pulls"]], dtype=float)
    line, order = Line(content), loudest(content)
    whole = np.full((len(order), max(len(line), 1)), np.nan)
    whole[:, line.places_of(content["compared"])] = values[:, order].T
    figure = Figure(figsize=(11.0, 1.1 + 0.2 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(POOR)
    edges = np.arange(whole.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(
        edges, np.arange(len(order) + 1) - 0.5, np.ma.masked_invalid(whole), cmap=RATIO,
        vmin=-FARTHEST_PULL, vmax=FARTHEST_PULL, rasterized=True,
    )  # fmt: skip
    line.dress(axes, shaded=False)
    axes.set_yticks(range(len(order)), [content["streams"][place]["name"] for place in order], fontsize=8)
    axes.set_ylim(len(order) - 0.5, -0.5)
    bar = figure.colorbar(mesh, ax=axes, fraction=0.02, pad=0.01, aspect=40)
    bar.set_label("pull")
    return svg(figure)


def loudest(content: Content) -> list[int]:
    """Return the streams whose mean pull since the onset (in a quiet fill: over it) is farthest from none."""
    line = Line(content)
    places = line.places_of(content["compared"])
    since = [place for place, at in enumerate(places) if line.onset is None or at >= line.onset]
    rows = [content["pulls"][place] for place in since] or content["pulls"]
    means = []
    for stream in range(len(content["streams"])):
        known = [row[stream] for row in rows if row[stream] is not None]
        means.append(abs(sum(known) / len(known)) * math.sqrt(len(known)) if known else -1.0)
    order = sorted(range(len(means)), key=lambda stream: (-means[stream], stream))
    return [stream for stream in order if means[stream] >= 0][:MOST_STREAMS]
