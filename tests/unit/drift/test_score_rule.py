"""A score is said to have moved by itself only where no input has spoken, and only when it leads."""

import pytest

from drift.detect import Contributor
from drift.score_rule import score_alone
from drift.streams import StreamLabel

LABELS = (
    StreamLabel("scale", "JET", 0, "JET pt scale"),
    StreamLabel("rate", "JET", 0, "JET per event"),
    StreamLabel("chi2", "JET", 7, "Jet1_pt"),
    StreamLabel("score", "SCORE", 0, "score scale"),
)


def part(name, kind, log_evidence, sign=1):
    return Contributor(name, "SCORE" if "score" in name else "JET", kind, 0, sign, log_evidence, 0)


SCORE, JET = part("score scale", "score", 13.0, -1), part("JET pt scale", "scale", 2.0)


def test_a_leading_score_with_quiet_inputs_has_moved_by_itself():
    told = score_alone(LABELS, [0.5, -1.0, 2.0, -9.0], (SCORE, JET))

    assert told == "the score moved while its inputs did not (score scale down)"


def test_a_generic_stream_of_the_score_names_no_direction():
    told = score_alone(LABELS, [0.0, 0.0, 0.0, 0.0], (part("score", "chi2", 13.0, 0),))

    assert told == "the score moved while its inputs did not (score)"


@pytest.mark.parametrize(
    ("significance", "contributors"),
    [
        ([0.5, 0.5, 0.0, 9.0], (part("JET pt scale", "scale", 13.0), SCORE)),
        ([0.5, 0.5, 0.0, 9.0], (SCORE, part("JET cells", "cell", 3.5))),
        ([3.5, 0.5, 0.0, 9.0], (SCORE, JET)),
        ([0.5, -3.5, 0.0, 9.0], (SCORE, JET)),
    ],
)
def test_where_an_input_leads_speaks_or_departs_the_score_did_not_move_by_itself(significance, contributors):
    assert score_alone(LABELS, significance, contributors) == ""
