"""The figures of a report that need what not every fill has: scores of the model, counters of seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from daemon.reports.canvas import BLUE, GREEN, INK, ORANGE, RED, SOFT, Line, svg

Content = Mapping[str, Any]
COLOURS = (INK, BLUE, GREEN, ORANGE)
LEAST_PASSING = 10
"""Passing events that one point of the pass rate gathers."""


def scores(content: Content) -> bytes | None:
    """Return quantiles of the score with thresholds, by lumisection, and the pass rate against pileup; None without."""
    known = [(place, one) for place, one in enumerate(content["scores"]) if one]
    if not known:
        return None
    line = Line(content)
    places = line.places_of([content["compared"][place] for place, _ in known])
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.25, 1.0]})
    for name, colour in zip([key for key in known[0][1] if key.startswith("q")], COLOURS, strict=False):
        label = f"{100 * float(name[1:]):g} %"
        left.plot(places, [one[name] for _, one in known], color=colour, label=label, marker=".", markersize=3)
    cuts = [key.removeprefix("threshold ") for key in known[0][1] if key.startswith("threshold ")]
    for cut in cuts:
        left.axhline(known[0][1][f"threshold {cut}"], color=RED, linewidth=1.2)
        left.text(0, known[0][1][f"threshold {cut}"], f" {cut}", color=RED, va="bottom", fontsize=9)
    left.set_yscale("symlog", linthresh=1.0)
    left.set_ylabel("score")
    left.legend(ncols=4, loc="upper left")
    line.dress(left)
    pileup = {f"{row['run']}:{row['lumisection']}": row["pileup"] for row in content["lumisections"]}
    for cut, colour in zip(cuts, COLOURS, strict=False):
        rows = sorted((pileup[content["compared"][at]], one[f"passed {cut}"], one["events"]) for at, one in known)
        points = list(_gathered(rows))
        if points:
            xs, ys, errors = (np.array(one) for one in zip(*points, strict=True))
            right.errorbar(xs, 1e6 * ys, 1e6 * errors, fmt="o", color=colour, label=cut)
    right.set_xlabel("pileup")
    right.set_ylabel("passing events per million")
    right.set_ylim(bottom=0)
    return svg(figure)


def _gathered(rows: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Gather lumisections of neighbouring pileup until enough events pass: pileup, share, its counting error."""
    points, block = [], []
    for place, row in enumerate(rows):
        block.append(row)
        passed, events = sum(one[1] for one in block), sum(one[2] for one in block)
        if passed >= LEAST_PASSING or place == len(rows) - 1:
            middle = sum(one[0] for one in block) / len(block)
            points.append((middle, passed / events, max(passed, 1.0) ** 0.5 / events))
            block = []
    return points


def rates(content: Content) -> bytes | None:
    """Return the seeds that departed most, rate seen over rate predicted by lumisection; None without counters."""
    shown = content["rates"]
    if not shown:
        return None
    line = Line(content)
    columns = 2 if len(shown) > 1 else 1
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(11.0, 1.1 + 1.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.set_axis_off()
            continue
        one = shown[place]
        ratio = np.array(one["seen"]) / np.maximum(np.array(one["due"]), 1e-12)
        axes.axhline(1.0, color=SOFT, linewidth=1.0)
        axes.plot(line.places_of(one["at"]), ratio, color=BLUE, marker=".", markersize=3)
        axes.set_ylim(min(0.5, float(ratio.min()) - 0.05), max(1.5, float(ratio.max()) + 0.05))
        axes.set_title(one["seed"], fontsize=9.5)
        axes.set_ylabel("seen / due", fontsize=9)
        line.dress(axes, named=place >= len(shown) - columns)
    return svg(figure)
