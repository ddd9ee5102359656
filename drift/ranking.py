"""Which runs of a season stand out, from one number a histogram and run, without a single label.

Statistics of a histogram (a chi-squared, a reconstruction error) follow the length of the run before they follow the
detector: where counting noise rules they fall with the entries, where a small mismatch rules they rise.  So each column
is compared with what a run of that size at that time of the year shows.  What is left is one pull a histogram and run,
with the meaning of the pulls that `drift.detect` gathers by lumisection.  Pure: no files, no clock, no randomness.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.errors import RankingError
from drift.streams import Floats, Ints, wilson_hilferty

LEAST_RUNS = 10
LEAST_COLUMNS = 5
NEAR_IN_TIME = 41
"""Runs in the running median along run number: what lasts for more than half of them is the new normal, no anomaly."""
NEAR_IN_SIZE = 81
SPREAD_RUNS = 101
LEAST_SPREAD = 0.02
"""No statistic is believed to be known better than two percent."""
CAP = 8.0
"""Pulls count up to here: tails are heavy, and one wild histogram shall not outshout a subsystem."""
ROUNDS = 3
REWEIGHTINGS = 25
CURVED_FROM = 40
"""Runs from which the dependence on size is a parabola; fewer carry a straight line."""
FACTOR_REFITS = 6
TOLD = 5
TOLD_FROM = 2.0
GAUSS = 1.4826
"""From a median absolute deviation to the standard deviation of a Gaussian."""


@dataclass(frozen=True, eq=False)
class RunTable:
    """One row a run, one column a histogram.

    Attributes:
        runs: Run numbers, each once, in any order, shape ``(n_runs,)``.
        columns: What the columns are called.
        values: The statistic of each histogram, zero or positive and larger when worse; NaN where it is missing.
        entries: Entries of each histogram, same shape as `values`, NaN where unknown; None when nobody knows any.
    """

    runs: Ints
    columns: tuple[str, ...]
    values: Floats
    entries: Floats | None = None


@dataclass(frozen=True)
class Suspect:
    """A histogram that speaks against a run.

    Attributes:
        column: Its name.
        pull: How far above the expectation, in its own spread.
        ratio: Statistic over expectation.
    """

    column: str
    pull: float
    ratio: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """How much each run stands out; rows in the order of the table.

    Attributes:
        runs: Run numbers.
        scores: Robust standard deviations above what runs of its size show; higher is more anomalous.
        suspects: The strongest histograms of each run, strongest first; empty for an ordinary run.
        columns: Columns that took part.
        left_out: Columns that say nothing: constant, or missing in most runs.
    """

    runs: Ints
    scores: Floats
    suspects: tuple[tuple[Suspect, ...], ...]
    columns: tuple[str, ...]
    left_out: tuple[str, ...]

    def order(self) -> Ints:
        """Return the rows from the most to the least anomalous; equal scores by run number."""
        return np.lexsort((self.runs, -self.scores))


def rank(table: RunTable) -> Ranking:
    """Score every run against the others of the table.

    With L the logarithm of a statistic and N the entries of its histogram, for run i and histogram j
    L_ij = f_j(ln N_ij) + g_j(time) + c_i + s_j(N_ij) z_ij, fitted by medians throughout: f a parabola plus a running
    median over runs of like N, g a running median along run number, c one factor a run, s a running spread.  A run's
    evidence is the sum of min(max(z, 0), 8)^2, as a Wilson-Hilferty score, less its running median over run size.
    Without entries the leading principal component of L stands for ln N.

    With entries, and no cell missing, a factor common to all statistics of a run changes no score; hence a fault that
    worsens all histograms alike is not seen, nor is a state that lasts for more than about twenty runs either way.

    Raises:
        RankingError: Too few runs or columns, a run twice, a negative or infinite value.

    References:
        E. B. Wilson and M. M. Hilferty, PNAS 17 (1931) 684; J. W. Tukey, Exploratory Data Analysis (1977), chapter 7.
    """
    _check(table)
    by_run = np.argsort(table.runs)
    used = _telling(table.values)
    if used.sum() < LEAST_COLUMNS:
        raise RankingError(
            f"only {int(used.sum())} of {used.size} columns vary and are filled in most runs; a common factor is told "
            f"from a fault with at least {LEAST_COLUMNS} histograms"
        )
    logs = _logs(table.values[by_run][:, used])
    known = None if table.entries is None else table.entries[by_run][:, used]
    abscissa, size = _leading_factor(logs) if known is None or np.isnan(known).all() else _sizes(known)
    pulls, residuals = _pulls(logs - _filled(_mean(logs - _median(logs)))[:, None], abscissa)
    loud = np.clip(np.where(np.isnan(pulls), 0.0, pulls), 0.0, CAP) ** 2
    seen = np.isfinite(pulls).sum(axis=1)
    evidence = wilson_hilferty(2 * loud.sum(axis=1) * pulls.shape[1] / np.maximum(seen, 1), pulls.shape[1])
    above = evidence - _along(evidence[:, None], size[:, None], SPREAD_RUNS)[:, 0]
    spread = GAUSS * float(_median(np.abs(above)))
    back = np.argsort(by_run)
    names = tuple(name for name, yes in zip(table.columns, used, strict=True) if yes)
    return Ranking(
        runs=table.runs,
        scores=(above / max(spread, LEAST_SPREAD))[back],
        suspects=tuple(_suspects(names, pulls[row], residuals[row]) for row in back),
        columns=names,
        left_out=tuple(name for name, yes in zip(table.columns, used, strict=True) if not yes),
    )


def _check(table: RunTable) -> None:
    shape = (len(table.runs), len(table.columns))
    if table.values.shape != shape or (table.entries is not None and table.entries.shape != shape):
        raise RankingError(f"{shape[0]} runs and {shape[1]} columns, but values of shape {table.values.shape}")
    if shape[0] < LEAST_RUNS:
        raise RankingError(f"{shape[0]} runs are too few to tell what is ordinary; bring at least {LEAST_RUNS}")
    found, times = np.unique(table.runs, return_counts=True)
    if (times > 1).any():
        raise RankingError(f"run {found[times > 1][0]} stands in more than one row; keep one row a run")
    given = [("statistic", table.values)] + ([] if table.entries is None else [("number of entries", table.entries)])
    for what, cells in given:
        for row, column in np.argwhere((cells < 0) | np.isinf(cells))[:1]:
            raise RankingError(
                f"run {table.runs[row]}, {table.columns[column]}: a {what} is zero or more and finite, "
                f"found {cells[row, column]:g}; leave the cell empty if it is unknown"
            )


def _telling(values: Floats) -> NDArray[np.bool_]:
    """Return which columns vary and are filled in most runs."""
    filled = np.isfinite(values).mean(axis=0) > 0.5
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    telling: NDArray[np.bool_] = filled & (high > low) & (high > 0)
    return telling


def _logs(values: Floats) -> Floats:
    """Return logarithms; a zero counts as half of the least positive value of its column."""
    least = np.where(values > 0, values, np.inf).min(axis=0)
    logs: Floats = np.log(np.where(np.isnan(values), np.nan, np.maximum(values, least / 2)))
    return logs


def _sizes(entries: Floats) -> tuple[Floats, Floats]:
    """Return ln of the entries, gaps filled from the other columns, and the typical one of each run."""
    logs = np.log(np.maximum(entries, 0.5))
    centred = logs - _median(logs)
    size = _filled(_median(centred, axis=1))
    usual = _filled(_median(logs - size[:, None]))
    return np.where(np.isnan(logs), size[:, None] + usual, logs), size


def _leading_factor(logs: Floats) -> tuple[Floats, Floats]:
    """Return the leading factor of all columns, outliers pulled in and noisy columns weighted down."""
    centred = logs - _median(logs)
    scaled = _filled(centred / np.maximum(GAUSS * _median(np.abs(centred)), LEAST_SPREAD))
    tame = np.clip(scaled, -3, 3)
    weight = np.ones(tame.shape[1])
    for _ in range(FACTOR_REFITS):
        left, value, right = np.linalg.svd((tame - tame.mean(axis=0)) * weight, full_matrices=False)
        factor = left[:, 0] * value[0]
        model = np.outer(factor, right[0] / weight)
        tame = model + np.clip(scaled - model, -1.5, 1.5)
        weight = 1 / np.maximum(GAUSS * _median(np.abs(scaled - model)), 0.1)
    return np.repeat(factor[:, None], logs.shape[1], axis=1), factor


def _pulls(logs: Floats, abscissa: Floats) -> tuple[Floats, Floats]:
    """Return the pulls and the log ratios to the expectation, both NaN where the statistic is missing."""
    common = np.zeros((len(logs), 1))
    in_time = np.zeros(logs.shape)
    for _ in range(ROUNDS):
        expected = _curves(logs - common - in_time, abscissa)
        expected += _along(logs - common - in_time - expected, abscissa, NEAR_IN_SIZE)
        in_time = _running_median(logs - common - expected, NEAR_IN_TIME)
        spread = GAUSS * _median(np.abs(logs - common - expected - in_time))
        # By the root of the precision: by all of it, the best known subsystem would be a majority and pass its own
        # faults off as the run's common factor.
        common = _weighted_median(logs - expected - in_time, np.maximum(spread, LEAST_SPREAD) ** -0.5)[:, None]
    residuals = logs - expected - in_time - common
    near = GAUSS * _along(np.abs(residuals), abscissa, SPREAD_RUNS)
    overall = GAUSS * _median(np.abs(residuals))
    return residuals / np.maximum(np.sqrt((near**2 + overall**2) / 2), LEAST_SPREAD), residuals


def _curves(logs: Floats, abscissa: Floats) -> Floats:
    """Return for each column its parabola of least absolute deviations, by reweighted least squares."""
    centre = _median(abscissa)
    x = np.clip((abscissa - centre) / np.maximum(GAUSS * _median(np.abs(abscissa - centre)), 1e-9), -3.5, 3.5)
    powers = np.stack([x**k for k in range(3 if len(logs) >= CURVED_FROM else 2)], axis=-1).transpose(1, 0, 2)
    there = np.isfinite(logs)
    y = _filled(logs).T
    weight = there.T.astype(float)
    fit = np.zeros_like(y)
    for _ in range(REWEIGHTINGS):
        turned = (powers * weight[:, :, None]).transpose(0, 2, 1)
        ridge = 1e-9 * np.eye(powers.shape[2])
        slopes = np.linalg.solve(turned @ powers + ridge, turned @ y[:, :, None])
        fit = (powers @ slopes)[:, :, 0]
        away = np.abs(y - fit)
        scale = np.maximum(GAUSS * _median(np.where(there.T, away, np.nan), axis=1), LEAST_SPREAD)[:, None]
        weight = there.T / np.maximum(away / scale, 0.3)
    return fit.T


def _along(values: Floats, abscissa: Floats, width: int) -> Floats:
    """Return each column's running median over rows that are neighbours in its abscissa."""
    order = np.argsort(abscissa, axis=0, kind="stable")
    smooth = np.empty(values.shape)
    np.put_along_axis(smooth, order, _running_median(np.take_along_axis(values, order, axis=0), width), axis=0)
    return smooth


def _running_median(values: Floats, width: int) -> Floats:
    """Return the median of the `width` rows around each, all rows if there are fewer; zero where all are missing."""
    rows = len(values)
    width = min(width, rows)
    first = np.clip(np.arange(rows) - width // 2, 0, rows - width)
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=0)
    return _filled(_median(windows, axis=2))[first]


def _weighted_median(values: Floats, weight: Floats) -> Floats:
    """Return the weighted median of each row."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    heavy = np.where(np.isfinite(ordered), weight[order], 0.0).cumsum(axis=1)
    middle = (heavy >= heavy[:, -1:] / 2).argmax(axis=1)
    return _filled(np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0])


def _median(values: Floats, axis: int = 0) -> Floats:
    """Return the median without missing values, NaN where there is none; never a warning."""
    ordered = np.sort(values, axis=axis)
    count = np.isfinite(values).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[axis] - 1), axis=axis)
    middle: Floats = np.where(count > 0, (low + high) / 2, np.nan).squeeze(axis)
    return middle


def _mean(values: Floats) -> Floats:
    """Return the mean of what each row holds, NaN where it holds nothing."""
    count = np.isfinite(values).sum(axis=1)
    return np.where(count > 0, _filled(values).sum(axis=1) / np.maximum(count, 1), np.nan)


def _filled(values: Floats) -> Floats:
    return np.where(np.isnan(values), 0.0, values)


def _suspects(columns: tuple[str, ...], pulls: Floats, residuals: Floats) -> tuple[Suspect, ...]:
    strongest = sorted(((-pull, columns[at], at) for at, pull in enumerate(pulls) if pull >= TOLD_FROM))
    return tuple(Suspect(name, float(-less), float(np.exp(residuals[at]))) for less, name, at in strongest[:TOLD])
