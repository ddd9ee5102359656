"""The figures of a report that need what not every fill has: scores of the model, counters of seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daemon.reports.canvas import BLUE, GREEN, HALO, INK, MOST_POINTS, ORANGE, RED, SOFT, Line, groups, svg

Content = Mapping[str, Any]
Floats = NDArray[np.float64]
COLOURS = (INK, BLUE, GREEN, ORANGE)
LEAST_PASSING = 10
"""Passing events that one point of the pass rate gathers."""
MOST_SHARES = 30
"""Points of the pass rate before, and since, the onset."""


def scores(content: Content) -> bytes | None:
    """Return quantiles of the score with thresholds, by lumisection, and the pass rate against pileup; None without."""
    known = [(place, one) for place, one in enumerate(content["scores"]) if one]
    if not known:
        return None
    line = Line(content)
    places = line.places_of([content["compared"][place] for place, _ in known])
    figure = Figure(figsize=(11.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.25, 1.0]})
    cuts = [key.removeprefix("threshold ") for key in known[0][1] if key.startswith("threshold ")]
    _quantiles(left, [one for _, one in known], places, cuts, groups(places, line.onset))
    line.dress(left)
    pileup = {f"{row['run']}:{row['lumisection']}": row["pileup"] for row in content["lumisections"]}
    for cut, colour in zip(cuts, COLOURS, strict=False):
        rows = [
            (pileup[content["compared"][at]], one[f"passed {cut}"], one["events"], line.since(content["compared"][at]))
            for at, one in known
        ]
        for since, form in ((False, "o"), (True, "s")):
            points = list(gathered(sorted(row[:3] for row in rows if row[3] is since)))
            if not points:
                continue
            xs, ys, errors = (np.array(one) for one in zip(*points, strict=True))
            label = cut + ("" if line.onset is None else ", since onset" if since else ", before")
            own = ORANGE if since and len(cuts) == 1 else colour
            right.errorbar(xs, 1e6 * ys, 1e6 * errors, fmt=form, color=own, label=label)
    right.set_xlabel("pileup")
    right.set_ylabel("passing events per million")
    right.set_ylim(bottom=0)
    if line.onset is not None or len(cuts) > 1:
        right.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)
    return svg(figure)


def _quantiles(
    axes: Axes,
    rows: Sequence[Mapping[str, float]],
    places: Sequence[int],
    cuts: Sequence[str],
    merged: Sequence[tuple[int, int]],
) -> None:
    """Draw quantiles of the score and its thresholds, on a scale that begins below the lowest of them.

    Where neighbours are drawn as one: their median, and a band that holds the middle two thirds of them.
    """
    at = [float(np.mean(places[a:b])) for a, b in merged]
    names = [key for key in rows[0] if key.startswith("q")]
    for name, colour in zip(names, COLOURS, strict=False):
        label = f"{100 * float(name[1:]):g} %"
        parts = [np.array([one[name] for one in rows[a:b]]) for a, b in merged]
        axes.plot(at, [float(np.median(one)) for one in parts], color=colour, label=label, marker=".", markersize=3)
        if len(merged) < len(rows):
            low, high = ([float(np.quantile(one, share)) for one in parts] for share in (1 / 6, 5 / 6))
            axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    shown = [one[name] for one in rows for name in (*names, *(f"threshold {cut}" for cut in cuts))]
    least, most = max(min(shown), 0.5), max(*shown, 1.0)
    axes.set_yscale("symlog", linthresh=least) if min(shown) <= 0 else axes.set_yscale("log")
    axes.set_ylim(least / 2 if min(shown) > 0 else min(shown), 2 * most)
    for cut in cuts:
        axes.axhline(rows[0][f"threshold {cut}"], color=RED, linewidth=1.4)
        axes.text(
            0.99, rows[0][f"threshold {cut}"], f"threshold {cut}", color=RED, va="bottom", ha="right", fontsize=9.5,
            transform=axes.get_yaxis_transform(), path_effects=[HALO],
        )  # fmt: skip
    axes.set_ylabel("score")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)


def gathered(rows: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Gather lumisections of neighbouring pileup until enough events pass: pileup, share, its counting error.

    Args:
        rows: Pileup, passing events, events of each lumisection, by ascending pileup.
    """
    points, block = [], []
    enough = max(LEAST_PASSING, sum(row[1] for row in rows) / MOST_SHARES)
    for place, row in enumerate(rows):
        block.append(row)
        passed, events = sum(one[1] for one in block), sum(one[2] for one in block)
        if passed >= enough or place == len(rows) - 1:
            middle = sum(one[0] for one in block) / len(block)
            points.append((middle, passed / events, max(passed, 1.0) ** 0.5 / events))
            block = []
    return points


def rates(content: Content) -> bytes | None:
    """Return the seeds that departed most: over prediction by lumisection, per bunch by pileup; None without counters.

    The band is where 95 % of single measurements are expected; the line on the right is the prediction.
    """
    shown = content["rates"]
    if not shown:
        return None
    line = Line(content)
    figure = Figure(figsize=(11.0, 0.6 + 1.75 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2, squeeze=False, gridspec_kw={"width_ratios": [1.9, 1.0]})
    for place, (one, (left, right)) in enumerate(zip(shown, grid, strict=True)):
        last = place == len(shown) - 1
        _over_prediction(left, one, line, last=last)
        _against_pileup(right, one, line, last=last)
    return svg(figure)


def _over_prediction(axes: Axes, one: Mapping[str, Any], line: Line, *, last: bool) -> None:
    merged = groups(line.places_of(one["at"]), line.onset)
    places = _means(line.places_of(one["at"]), merged)
    seen, due, low, high = (_means(one[name], merged) for name in ("seen", "due", "low", "high"))
    due = np.maximum(due, 1e-12)
    ratio = seen / due
    axes.axhline(1.0, color=SOFT, linewidth=1.0)
    axes.fill_between(places, low / due, high / due, color=BLUE, alpha=0.18, linewidth=0, zorder=2)
    outside = (seen < low) | (seen > high)
    axes.plot(places, ratio, color=INK, linewidth=0.8, zorder=3)
    axes.plot(places[~outside], ratio[~outside], "o", color=INK, markersize=2.5, zorder=3)
    axes.plot(places[outside], ratio[outside], "s", color=RED, markersize=4, zorder=3)
    far = max(0.1, float(np.abs(np.concatenate([ratio, low / due, high / due]) - 1.0).max()))
    axes.set_ylim(max(0.0, 1.0 - 1.15 * min(far, 1.0)), 1.0 + 1.15 * min(far, 2.0))
    axes.set_title(one["seed"], fontsize=9.5, loc="left", pad=3)
    axes.set_ylabel("seen / due", fontsize=9)
    line.dress(axes, named=last)


def _means(values: Sequence[float] | Floats, merged: Sequence[tuple[int, int]]) -> Floats:
    return np.array([float(np.mean(values[a:b])) for a, b in merged])


def _against_pileup(axes: Axes, one: Mapping[str, Any], line: Line, *, last: bool) -> None:
    pileup, bunches = np.array(one["pileup"]), np.maximum(np.array(one["bunches"], dtype=float), 1.0)
    order = np.argsort(pileup, kind="stable")[:: max(1, len(pileup) // MOST_POINTS)]
    low, due, high = (np.array(one[name])[order] / bunches[order] for name in ("low", "due", "high"))
    axes.fill_between(pileup[order], low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(pileup[order], due, color=BLUE, linewidth=1.4)
    merged = groups(line.places_of(one["at"]), line.onset)
    axes.plot(_means(pileup, merged), _means(np.array(one["seen"]) / bunches, merged), ".", color=INK, markersize=3)
    axes.set_ylabel("Hz per bunch", fontsize=9)
    axes.minorticks_off()
    if last:
        axes.set_xlabel("pileup")
