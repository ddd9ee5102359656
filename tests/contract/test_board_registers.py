"""What a board shows in its registers, over IPbus and uHAL, beside what was delivered for it."""

import pytest

from daemon.deploy import InMemoryTarget
from daemon.errors import DeployError, MixedBoardsError
from daemon.targets.registers import IpbusRegisters, WitnessedTarget
from tests.contract.ipbus_board import TABLE, powered
from tests.contract.target_examples import make_bundle, verify


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "board.xml"
    path.write_text(TABLE)
    return path


@pytest.fixture
def board():
    with powered() as one:
        yield one


@pytest.fixture
def other():
    with powered() as one:
        yield one


@pytest.fixture
def bundles(tmp_path):
    return {name: (make_bundle(tmp_path / name, name), tmp_path / name) for name in ("old", "new")}


def test_a_digest_is_read_out_of_eight_registers(board, table, bundles):
    board.show(bundles["new"][0])
    found = IpbusRegisters(board.uri, table).digest()

    assert found == bundles["new"][0]
    assert board.packets > 0


def test_a_board_that_was_never_programmed_shows_no_digest(board, table):
    assert IpbusRegisters(board.uri, table).digest() == ""


def test_a_silent_board_is_a_sentence_within_its_time(board, table):
    board.silent = True

    with pytest.raises(DeployError, match="see its power and network"):
        IpbusRegisters(board.uri, table, timeout_s=0.3).digest()


def test_a_register_that_the_board_does_not_have_is_a_sentence(board, tmp_path):
    path = tmp_path / "wrong.xml"
    path.write_text(TABLE.replace("0x100", "0x5000"))

    with pytest.raises(DeployError, match="does not show its digest"):
        IpbusRegisters(board.uri, path, timeout_s=0.5).digest()


def test_boards_that_show_what_was_delivered_are_one_digest(board, other, table, bundles):
    witnesses = {"left": IpbusRegisters(board.uri, table), "right": IpbusRegisters(other.uri, table)}
    target = WitnessedTarget(InMemoryTarget("slot", verify), witnesses)
    target.deploy(*bundles["new"], token=1)
    for one in (board, other):
        one.show(bundles["new"][0])

    assert target.read_back() == bundles["new"][0]


def test_one_board_that_still_shows_the_old_digest_is_named_and_going_back_is_allowed(board, other, table, bundles):
    witnesses = {"left": IpbusRegisters(board.uri, table), "right": IpbusRegisters(other.uri, table)}
    target = WitnessedTarget(InMemoryTarget("slot", verify), witnesses)
    for name in ("old", "new"):
        target.deploy(*bundles[name], token=1)
    board.show(bundles["new"][0])
    other.show(bundles["old"][0])

    with pytest.raises(MixedBoardsError, match=f"right shows {bundles['old'][0][:16]}") as told:
        target.read_back()
    assert told.value.boards == {"left": bundles["new"][0], "right": bundles["old"][0]}
    assert target.roll_back(bundles["new"][0], token=1) == bundles["old"][0]
