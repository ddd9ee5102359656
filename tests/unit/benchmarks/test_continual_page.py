"""The page says what the rows support: it recommends what surely gains, and nothing when nothing does."""

import json
import sys

import pytest

# river, brevitas and torch warn about each other's deprecations at import
pytestmark = pytest.mark.filterwarnings("ignore")


def rows_of(gain, seeds=5):
    """Return a whole campaign in which `replay` gains so much on the last fill and all else is luck."""
    from benchmarks.continual_page import ORDER, RIVER
    from benchmarks.continual_streams import DEGRADATIONS, FILLS

    rows = []
    for degradation in DEGRADATIONS:
        for seed in range(1, seeds + 1):
            base = 0.5 + 0.02 * seed
            for learner in (*ORDER, *RIVER):
                luck = 0.0 if learner == "frozen" else 0.002 * (-1) ** seed
                last = base + luck + (gain if learner == "replay" else 0.0)
                matrix = [[base] + [None] * FILLS for _ in range(FILLS + 1)]
                for after in range(FILLS + 1):
                    matrix[after][: after + 1] = [base] * (after + 1)
                matrix[-1][-1] = last
                rates = [{"events": [4000] * 6, "fixed": [80] * 6, "follows": [40] * 5 + [80]}] * FILLS
                stamp = {"code": "c0de", "python": "3", "torch": "2", "numpy": "2", "river": "0"}
                rows.append(
                    {
                        "degradation": degradation,
                        "seed": seed,
                        "learner": learner,
                        "efficiency": matrix,
                        "auc": matrix,
                        "rates": rates,
                        "cost_s": [0.0] + [2.0] * FILLS,
                        **stamp,
                    }
                )
    return rows


def flat(text):
    return " ".join(text.split())


def test_a_sure_gain_that_keeps_the_old_is_recommended():
    from benchmarks.continual_page import page

    text = flat(page(rows_of(0.1)))

    assert text.count("Use: the threshold, and replay.") == 4
    assert "more intervals in tolerance" in text


def test_without_a_sure_gain_the_threshold_alone_is_recommended():
    from benchmarks.continual_page import page

    text = flat(page(rows_of(0.0)))

    assert text.count("Use: the threshold alone") == 4


def test_intervals_in_tolerance_are_told_for_both_thresholds():
    from benchmarks.continual_page import published

    assert "| pileup | 0 % | 83 % | from none to 83 % |" in published(rows_of(0.0))


def test_a_campaign_with_a_gap_is_refused(tmp_path):
    from benchmarks import continual_page

    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(0.0)[:-3]))
    arguments, sys.argv = sys.argv, ["page", "--rows", str(path), "--out", str(tmp_path / "page.md")]
    try:
        with pytest.raises(SystemExit, match="lacks 1 cells"):
            continual_page.main()
    finally:
        sys.argv = arguments

    assert not (tmp_path / "page.md").exists()
