"""A board's output against its emulator's: every bit counts, by seed and crossing, and nonsense is never agreement."""

import awkward as ak
import numpy as np
import pytest

from drift.agreement import compare, inputs_of
from drift.events import BoardOutput, LumisectionEvents
from drift.schema import AXOL1TL_57
from drift.source.outcome import Accepted, Quarantined
from drift.source.reader import Reader
from tests import l1nano

SEED = "L1_AXO"


def output(scores, threshold=10, first=0):
    scores = np.asarray(scores, np.int64)
    features = np.full((57, len(scores)), 3, np.int16)
    return BoardOutput(np.arange(first, first + len(scores)), scores, scores >= threshold, features)


def lumisection(board, events=4, unreadable=0):
    return LumisectionEvents(7, 3, np.zeros((57, events), np.int16), {}, board, unreadable)


def test_equal_bits_are_agreement_at_every_crossing():
    events = lumisection({0: output([1, 12, 3, 40]), -1: output([5, 6])})
    found = compare(events, np.array([5, 6, 1, 12, 3, 40]), {SEED: 10}, most_kept=9)

    assert (found.events, found.mismatches, found.unreadable, found.passed, found.own) == (6, 0, 0, 2, 4)
    assert [(cell.bx, cell.events, cell.scores, cell.decisions) for cell in found.cells] == [
        (-1, 2, 0, 0),
        (0, 4, 0, 0),
    ]
    assert found.kept.shape == (0, 5)


def test_one_bit_of_one_score_is_a_mismatch_and_is_kept_with_its_inputs():
    found = compare(lumisection({0: output([1, 13, 3, 40])}), np.array([1, 12, 3, 40]), {SEED: 10}, most_kept=9)

    assert (found.mismatches, found.cells[0].scores, found.cells[0].decisions) == (1, 1, 0)
    assert found.kept.tolist() == [[0, 1, 13, 12, 1]]
    assert found.inputs.shape == (57, 1)


def test_a_decision_that_contradicts_its_own_score_is_a_mismatch():
    board = output([1, 12, 3, 40])
    lying = BoardOutput(board.event, board.score, ~board.passed, board.features)
    found = compare(lumisection({0: lying}), board.score, {SEED: 10}, most_kept=2)

    assert (found.mismatches, found.cells[0].scores, found.cells[0].decisions) == (4, 0, 4)
    assert len(found.kept) == 2


def test_each_seed_has_its_own_threshold():
    found = compare(
        lumisection({0: output([1, 12, 3, 40])}), np.array([1, 12, 3, 40]), {SEED: 10, "tight": 30}, most_kept=0
    )

    assert {cell.seed: cell.decisions for cell in found.cells} == {SEED: 0, "tight": 1}


def test_events_without_an_answer_are_unreadable_and_never_agreement():
    found = compare(lumisection({0: output([1])}, unreadable=2), np.array([1]), {SEED: 10}, most_kept=0)

    assert (found.events, found.unreadable) == (1, 5)


# --- read out of files --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader():
    with Reader(AXOL1TL_57, board="L1AXO") as one:
        yield one


def columns_with(bx, **changes):
    flat, jagged = l1nano.columns(lumisections=(1, 2), events=20, with_bx=True)
    jagged["L1EtSum"]["bx"] = ak.values_astype(ak.zeros_like(jagged["L1EtSum"]["hwPt"]), np.int16)
    counts = ak.num(bx)
    total = int(ak.sum(counts))
    rows = {"bx": ak.flatten(bx), "hwScore": np.arange(total, dtype=np.int32), "pass": np.arange(total) % 2 == 0}
    rows |= changes
    jagged["L1AXO"] = {name: ak.unflatten(np.asarray(values), counts) for name, values in rows.items()}
    return flat, jagged


def every_event(*crossings):
    return ak.Array(np.tile(np.array(crossings, np.int16), (40, 1)).tolist())


@pytest.mark.parametrize("storage", ["TTree", "RNTuple"])
def test_score_decision_and_inputs_are_read_for_every_crossing(reader, tmp_path, storage):
    flat, jagged = columns_with(ak.values_astype(every_event(-1, 0), np.int16))
    path = l1nano.write(tmp_path / "run382913_ls0001-0002.root", flat, jagged, storage=storage)
    found = reader.read(path)

    assert isinstance(found, Accepted), found
    second = found.contents.lumisections[1]
    assert sorted(second.board) == [-1, 0]
    assert second.board[0].score.tolist() == list(range(41, 80, 2))
    assert second.board[0].passed.tolist() == [False] * 20
    assert np.array_equal(second.board[0].features, second.features)
    moved = {name: dict(parts) for name, parts in jagged.items()}
    for name in l1nano.NAMES:
        moved[name]["bx"] = moved[name]["bx"] + 1
    expected = l1nano.features(flat, moved)[:, 20:]
    expected[:3] = 0  # the sums were read out at the event's own crossing alone
    assert np.array_equal(second.board[-1].features[3:], expected[3:])
    assert inputs_of(second).shape == (57, 40)


def test_a_second_answer_and_a_crossing_far_away_are_unreadable(reader, tmp_path):
    flat, jagged = columns_with(ak.values_astype(every_event(0, 0, 99), np.int16))
    found = reader.read(l1nano.write(tmp_path / "run382913_ls0001-0002.root", flat, jagged))

    first = found.contents.lumisections[0]
    assert [len(first.board[bx].event) for bx in first.board] == [20]
    assert first.unreadable == 40


def test_a_file_without_the_board_is_as_good_as_ever(reader, tmp_path):
    flat, jagged = l1nano.columns(lumisections=(1, 2), events=20)
    found = reader.read(l1nano.write(tmp_path / "run382913_ls0001-0002.root", flat, jagged))

    assert [one.board for one in found.contents.lumisections] == [{}, {}]


def test_a_score_that_is_no_integer_is_refused_with_its_name(reader, tmp_path):
    bx = ak.values_astype(every_event(0), np.int16)
    flat, jagged = columns_with(bx, hwScore=np.linspace(0, 1, 40, dtype=np.float32))
    found = reader.read(l1nano.write(tmp_path / "run382913_ls0001-0002.root", flat, jagged))

    assert isinstance(found, Quarantined)
    assert "L1AXO_hwScore is stored as float32" in found.reason
