"""The stretch of lumisections in which something departed, and whether it was a glitch that came back.

Gains are what each lumisection says for a change, as log likelihood ratios: of a region, of a stream, of a seed's rate.
Pure.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GLITCH_MOST = 2
"""Lumisections that a glitch lasts at the most."""
ALONE = 10.0
"""Log likelihood ratio with which so few lumisections carry an alarm by themselves."""
BACK = 2.0
"""Log likelihood ratio with which later ones must speak against a change that lasts."""


def onset_of(gains: Floats) -> int:
    """Return the start from which gains to the end add up to most."""
    tail = np.cumsum(gains[::-1])[::-1]
    return int(tail.argmax())


def stretch_of(gains: Floats) -> tuple[int, int]:
    """Return the stretch whose gains add up to most, as first and one past last."""
    total = np.concatenate([[0.0], np.cumsum(gains)])
    rise = total - np.minimum.accumulate(total)
    last = int(rise.argmax())
    return (int(total[:last].argmin()), last) if last else (0, len(gains))


def step_gains(series: Floats) -> tuple[int, int, Floats]:
    """Return the stretch that departed most from zero, and each one's gain for a step of that height, at unit noise."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    length = np.arange(len(total))[None, :] - np.arange(len(total))[:, None]
    height = np.where(length > 0, (total[None, :] - total[:, None]) ** 2 / np.maximum(length, 1), -1.0)
    first, last = (int(k) for k in np.unravel_index(int(height.argmax()), height.shape))
    step = (total[last] - total[first]) / (last - first)
    return first, last, step * series - step**2 / 2


def came_back(gains: Floats, clock: Ints, stretch: tuple[int, int], raised: int) -> bool:
    """Whether a stretch of at most two lumisections carried an alarm, and later ones spoke against a change.

    Args:
        gains: Of each lumisection.
        clock: Its count, rising.
        stretch: First lumisection of it and one past its last.
        raised: Count at which the alarm was raised.
    """
    first, last = stretch
    alone = float(gains[first:last].sum()) >= ALONE
    there = clock[first] <= raised <= clock[last - 1] + 1
    over = last < len(gains) and float(gains[last:].sum()) < -BACK
    return last - first <= GLITCH_MOST and alone and bool(there) and over
