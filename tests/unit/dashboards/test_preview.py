"""A preview asks Prometheus what Grafana would ask, and hands board and answers over in one file."""

import json
import re

from dashboards.committed import boards
from dashboards.numbers import Numbers, Span
from dashboards.preview import answers, preview

SPAN = Span(1_000.0, 4_600.0, 60.0)


class Answering(Numbers):
    """A Prometheus that answers everything with one series."""

    def _ask(self, verb, **query):
        assert "$" not in query["query"], query
        labels = {"stream": "ZeroBias", "slot": "L1_AXO", "eta": "00", "phi": "01", "verdict": "</script>"}
        value = [SPAN.end, "1"]
        return [{"metric": labels, "value": value} if verb == "query" else {"metric": labels, "values": [value]}]


NUMBERS = Answering("http://nowhere", SPAN, 240)


def test_every_panel_of_every_dashboard_is_asked_as_grafana_would_ask():
    for board in boards():
        found = answers(board, NUMBERS)
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]

        assert found.keys() == {str(panel["id"]) for panel in panels}
        for panel in panels:
            kinds = [one["instant"] for one in found[str(panel["id"])]]
            assert kinds == [bool(target.get("instant")) for target in panel["targets"]]


def test_with_grafanas_components_board_and_answers_are_handed_over_and_nothing_can_break_out(tmp_path):
    (tmp_path / "preview.js").write_text("draw(window.PREVIEW)")
    (tmp_path / "preview.css").write_text("body{}")
    text = preview(boards()[0], NUMBERS, tmp_path)
    handed = re.search(r"window\.PREVIEW = (\{.*?\});</script>", text, re.DOTALL)

    assert json.loads(handed[1].replace("<\\/", "</"))["board"]["uid"] == "retrigger-now"
    assert text.count("</script>") == 2
    assert "draw(window.PREVIEW)" in text


def test_without_them_every_dashboard_is_drawn_plainly_and_says_so(tmp_path):
    for board in boards():
        text = preview(board, NUMBERS, tmp_path)

        assert "not Grafana, whose look differs" in text
        assert all(panel["title"].replace("'", "&#x27;") in text for panel in board["panels"])
        assert "</script>" not in text
