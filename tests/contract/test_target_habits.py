"""What is special to one kind of target: programs with bad habits, boards that stop half way, keys held elsewhere."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from daemon.candidates import Candidates
from daemon.deploy import InMemoryTarget
from daemon.errors import DeployError, FencedError, MixedBoardsError
from daemon.ledger import Ledger
from daemon.targets.archive import pack, unpack
from daemon.targets.boards import BoardsTarget
from daemon.targets.command import CommandTarget
from daemon.targets.tuf_keys import asked_signer, make_key, signer_of
from daemon.targets.tuf_publishing import Signers
from tests.contract.target_examples import Keys, a_week_ago, make_bundle, site_tool, tuf_target, verify
from tests.unit.daemon.lifecycle_examples import NOON, POLICY

COSIGNER = """
import sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
sys.stdout.write(key.sign(sys.stdin.buffer.read()).hex())
"""


class Broken(InMemoryTarget):
    """A board that takes nothing any more once its power is gone."""

    powered = True

    def deploy(self, digest, bundle, *, token):
        if not self.powered:
            raise DeployError("no power")
        super().deploy(digest, bundle, token=token)


@pytest.fixture
def bundles(tmp_path):
    return {name: (make_bundle(tmp_path / name, name), tmp_path / name) for name in ("old", "new", "third")}


@pytest.mark.parametrize(
    ("habit", "told"), [("hang", "longer than 0.5 s"), ("flood", "said more than"), ("babble", "expected")]
)
def test_a_program_with_a_bad_habit_is_stopped_and_named(tmp_path, habit, told):
    target = CommandTarget(site_tool(tmp_path / "crate.json", habit), timeout_s=0.5 if habit == "hang" else 20)
    begun = time.monotonic()

    with pytest.raises(DeployError, match=told):
        target.read_back()
    assert time.monotonic() - begun < 15


def test_a_program_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(DeployError, match="check its path"):
        CommandTarget([str(tmp_path / "nowhere")]).read_back()


def test_other_bits_than_were_sent_are_never_success(tmp_path, bundles):
    target = CommandTarget(site_tool(tmp_path / "crate.json", "other bits"), verify=verify)

    with pytest.raises(DeployError, match="was sent and 0000000000000000 runs"):
        target.deploy(*bundles["new"], token=1)


def test_words_of_a_program_are_never_read_by_a_shell(tmp_path):
    made = tmp_path / "made"
    target = CommandTarget([sys.executable, "-c", "import sys; sys.exit(5)", f"; touch {made}"])

    with pytest.raises(DeployError, match="ended with 5"):
        target.read_back()
    assert not made.exists()


def crate(**boards):
    return BoardsTarget("crate-7", boards)


def test_a_deployment_that_stops_half_way_names_the_boards_and_rolls_back(bundles):
    left, right = InMemoryTarget("left", verify), Broken("right", verify)
    slot = crate(left=left, right=right)
    slot.deploy(*bundles["old"], token=1)
    right.powered = False

    with pytest.raises(MixedBoardsError, match="right did not take") as told:
        slot.deploy(*bundles["new"], token=1)
    assert told.value.boards == {"left": bundles["new"][0], "right": bundles["old"][0]}
    assert slot.roll_back(bundles["new"][0], token=1) == bundles["old"][0]
    assert slot.read_back() == bundles["old"][0]


def test_a_deployment_that_stopped_half_way_is_completed_by_repeating_it(bundles):
    left, right = InMemoryTarget("left", verify), Broken("right", verify)
    slot = crate(left=left, right=right)
    slot.deploy(*bundles["old"], token=1)
    right.powered = False
    with pytest.raises(MixedBoardsError):
        slot.deploy(*bundles["new"], token=1)
    right.powered = True
    slot.deploy(*bundles["new"], token=2)

    assert slot.read_back() == bundles["new"][0]
    assert slot.way_back() == bundles["old"][0]


def test_boards_with_different_ways_back_have_none_together(bundles):
    left, right = InMemoryTarget("left", verify), InMemoryTarget("right", verify)
    left.deploy(*bundles["old"], token=1)
    right.deploy(*bundles["third"], token=1)
    slot = crate(left=left, right=right)
    slot.deploy(*bundles["new"], token=1)

    assert slot.way_back() is None
    with pytest.raises(MixedBoardsError, match="different digests"):
        slot.roll_back(bundles["new"][0], token=1)
    assert {left.read_back(), right.read_back()} == {bundles["new"][0]}


def test_one_board_that_was_written_by_a_newer_daemon_stops_all(bundles):
    left, right = InMemoryTarget("left", verify), InMemoryTarget("right", verify)
    right.deploy(*bundles["old"], token=9)

    with pytest.raises(FencedError):
        crate(left=left, right=right).deploy(*bundles["new"], token=8)


def test_the_same_folder_is_the_same_archive_and_comes_back_whole(tmp_path, bundles):
    digest, folder = bundles["new"]
    (folder / "hls" / "model.cpp").chmod(0o755)
    first = pack(folder, tmp_path / "first.tar")
    (folder / "weights").touch()
    second = pack(folder, tmp_path / "second.tar")
    unpack(first.path, tmp_path / "again")

    assert first.sha256 == second.sha256
    assert verify(tmp_path / "again") == digest
    assert (tmp_path / "again" / "hls" / "model.cpp").stat().st_mode & 0o777 == 0o755


def test_a_second_key_on_another_host_signs_by_being_asked(tmp_path, bundles):
    keys = Keys()
    make_key(tmp_path / "second.pem")
    keys.second = signer_of(tmp_path / "second.pem")
    asked = asked_signer(
        [sys.executable, "-c", COSIGNER, str(tmp_path / "second.pem")], tmp_path / "second.pub.pem", 30
    )
    target = tuf_target(tmp_path / "tuf", keys, signers=Signers((keys.first, asked), keys.online, keys.online))
    target.deploy(*bundles["new"], token=1)

    assert target.read_back() == bundles["new"][0]


def test_a_second_key_that_does_not_sign_leaves_the_old_model(tmp_path, bundles):
    keys = Keys()
    make_key(tmp_path / "second.pem")
    keys.second = signer_of(tmp_path / "second.pem")
    target = tuf_target(tmp_path / "tuf", keys)
    target.deploy(*bundles["old"], token=1)
    asked = asked_signer(["false"], tmp_path / "second.pub.pem", 30)
    refused = tuf_target(tmp_path / "tuf", keys, signers=Signers((keys.first, asked), keys.online, keys.online))

    with pytest.raises(DeployError, match="does not sign"):
        refused.deploy(*bundles["new"], token=1)
    assert target.read_back() == bundles["old"][0]


def test_a_key_that_others_can_read_is_refused_and_none_is_overwritten(tmp_path):
    path = tmp_path / "first.pem"
    make_key(path)
    assert load_pem_private_key(path.read_bytes(), None)
    path.chmod(0o644)

    with pytest.raises(DeployError, match="may be read by others"):
        signer_of(path)
    with pytest.raises(DeployError, match="choose another name"):
        make_key(path)
    assert Path(path).exists()


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def loop_of(tmp_path):
    """Give a daemon's own loop of a target, with no candidate in it."""
    nothing: Any = None
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger, ledger.lead("test", NOON) as lead:
        given = {"jobs": tmp_path, "job_of": nothing, "lead": lead}
        yield lambda target: Candidates(ledger, nothing, POLICY, target, nothing, **given)


def test_the_loop_renews_signatures_with_no_candidate_in_sight(tmp_path, keys, bundles, loop_of):
    tuf_target(tmp_path / "tuf", keys, clock=a_week_ago).deploy(*bundles["old"], token=1)
    target = tuf_target(tmp_path / "tuf", keys)
    loop = loop_of(target)
    loop.step(NOON)

    assert target.read_back() == bundles["old"][0]
    assert loop.troubles == {}


def test_a_loop_that_cannot_sign_says_so_each_turn_and_goes_on(tmp_path, keys, bundles, loop_of):
    tuf_target(tmp_path / "tuf", keys, clock=a_week_ago).deploy(*bundles["old"], token=1)
    others = tuf_target(tmp_path / "tuf", keys, signers=Keys().signers)
    loop = loop_of(others)
    loop.step(NOON)
    loop.step(NOON)

    assert "[unsigned]" in loop.troubles["target"]
