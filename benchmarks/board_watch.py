"""How often healthy bits are sent back by the guards that look after every lumisection, and how soon sick ones are.

Draws counts alone: what board and emulator do with real libraries is shown by tests/simulation/test_board_watch.py.
Run as ``python -m benchmarks.board_watch``; writes docs/benchmarks/board_watch.md.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drift.anytime import ERROR, ratio_interval, share_interval
from retrain.working_point import clopper_pearson

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "board_watch.md"
LOOKS = 300  # lumisections of a watch: two hours
EVENTS = 1000  # zero-bias events a lumisection
SHARE = 0.2  # of them pass
UNCERTAINTY = 0.01  # of the forecast
TOLERANCE = 0.1
TOLERATED = 1e-5
Counts = NDArray[np.int64]


def boundaries(low_of: Callable[[int, int], float], allowed: float, most: int) -> Counts:
    """Return for each look the least count that is certain: whose lower bound exceeds what is allowed."""
    out = np.zeros(LOOKS, np.int64)
    least = 0
    for look in range(1, LOOKS + 1):
        high = most * look + 1
        while least < high:  # the lower bound rises with the count
            middle = (least + high) // 2
            least, high = (least, middle) if low_of(middle, look) > allowed else (middle + 1, high)
        out[look - 1] = least
    return out


def first_certain(counts: Counts, limits: Counts) -> Counts:
    """Return the look at which each watch trips, `LOOKS` + 1 when it never does; counts of shape (watches, looks)."""
    over = np.cumsum(counts, axis=1) >= limits
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1, LOOKS + 1)


def line(name: str, looks: Counts, watches: int) -> str:
    """Return one row of the table."""
    tripped = int((looks <= LOOKS).sum())
    low, high = clopper_pearson(tripped, watches, 0.95)
    after = f"{np.median(looks[looks <= LOOKS]):.0f}" if tripped else "never"
    return f"| {name} | {tripped} of {watches} | {tripped / watches:.4g} ({low:.4g} to {high:.4g}) | {after} |"


def main() -> None:
    """Draw, count and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watches", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=9000)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    shape = (given.watches, LOOKS)
    strict = boundaries(lambda hits, look: share_interval(hits, EVENTS * look, look)[0], TOLERATED, 40)
    rates = boundaries(
        lambda hits, look: ratio_interval(hits, EVENTS * SHARE * look, UNCERTAINTY, look)[0],
        1.0 + TOLERANCE,
        EVENTS,
    )

    def watched(excess: float) -> Counts:
        truth = SHARE * (1.0 + excess) * np.exp(rng.normal(0.0, UNCERTAINTY, (given.watches, 1)))
        return first_certain(rng.binomial(EVENTS, np.minimum(truth, 1.0), shape), rates)

    drawn = {
        "mismatches at the tolerated 1e-5": first_certain(rng.binomial(EVENTS, TOLERATED, shape), strict),
        "mismatches at 1e-4": first_certain(rng.binomial(EVENTS, 1e-4, shape), strict),
        "rate as forecast": watched(0.0),
        "rate 10 % above, as tolerated": watched(TOLERANCE),
        "rate 20 % above": watched(0.2),
    }
    rows = [line(name, looks, given.watches) for name, looks in drawn.items()]
    head = f"""# Guards that look after every lumisection

Made by `python -m benchmarks.board_watch --watches {given.watches} --seed {given.seed}`. A watch is {LOOKS}
lumisections of {EVENTS} zero-bias events, {SHARE:.0%} of which pass; the forecast is off by {UNCERTAINTY:.0%}
(one standard deviation, drawn for each watch). Tolerated are mismatches at {TOLERATED:g} and a rate {TOLERANCE:.0%}
off. Promised is that at most {ERROR:g} of watches send healthy bits back; intervals are Clopper and Pearson's at 95 %.

| watch | sent back | share | lumisections until then (median) |
| --- | --- | --- | --- |
"""
    PAGE.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
