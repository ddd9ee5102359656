"""One suite for every deployment target, and a kill at every step of the filesystem one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import DeployError, FencedError
from daemon.targets.filesystem import FilesystemTarget
from tests.contract.registry import running_registry
from tests.contract.target_examples import make_bundle, make_target, verify

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bundles(tmp_path):
    folders = {name: tmp_path / "bundles" / name for name in ("old", "new", "third")}
    return {name: (make_bundle(folder, name), folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(params=["memory", "filesystem", "command", "oci", "tuf", "boards"])
def target(request, tmp_path):
    registry = request.getfixturevalue("registry") if request.param == "oci" else ""
    return make_target(request.param, tmp_path, registry)


def test_an_empty_target_runs_nothing_and_has_no_way_back(target):
    assert target.name == "crate-7"
    assert target.read_back() == ""
    assert target.way_back() is None


def test_what_was_deployed_is_read_back(target, bundles):
    digest, folder = bundles["old"]
    target.deploy(digest, folder, token=1)

    assert target.read_back() == digest
    assert target.way_back() is None


def test_deploying_again_changes_nothing(target, bundles):
    for name in ("old", "new", "new", "new"):
        target.deploy(*bundles[name], token=1)

    assert target.read_back() == bundles["new"][0]
    assert target.way_back() == bundles["old"][0]


def test_one_step_back_is_always_there_and_repeating_it_is_harmless(target, bundles):
    for name in ("old", "new"):
        target.deploy(*bundles[name], token=1)
    answers = [target.roll_back(bundles["new"][0], token=1) for _ in range(3)]

    assert answers == [bundles["old"][0]] * 3
    assert target.read_back() == bundles["old"][0]


def test_forward_again_after_a_step_back_works_and_back_again_too(target, bundles):
    for name in ("old", "new"):
        target.deploy(*bundles[name], token=1)
    target.roll_back(bundles["new"][0], token=1)
    target.deploy(*bundles["third"], token=1)

    assert target.way_back() == bundles["old"][0]
    target.roll_back(bundles["third"][0], token=1)
    assert target.read_back() == bundles["old"][0]


def test_a_rollback_of_what_does_not_run_is_refused(target, bundles):
    for name in ("old", "new", "third"):
        target.deploy(*bundles[name], token=1)

    with pytest.raises(DeployError, match="roll back what runs"):
        target.roll_back(bundles["new"][0], token=1)
    assert target.read_back() == bundles["third"][0]


def test_the_first_deployment_has_nothing_to_go_back_to(target, bundles):
    target.deploy(*bundles["old"], token=1)

    with pytest.raises(DeployError, match="no way back"):
        target.roll_back(bundles["old"][0], token=1)


def test_a_daemon_that_lost_its_lead_writes_nothing(target, bundles):
    target.deploy(*bundles["old"], token=7)

    with pytest.raises(FencedError, match="older than 7"):
        target.deploy(*bundles["new"], token=6)
    with pytest.raises(FencedError):
        target.roll_back(bundles["old"][0], token=6)
    target.deploy(*bundles["new"], token=7)
    assert target.read_back() == bundles["new"][0]


@pytest.mark.parametrize("name", ["weights", "threshold.json", "hls/model.cpp", "manifest.json"])
def test_a_bundle_with_one_bit_changed_is_refused_and_the_old_model_stays(target, bundles, name):
    digest, folder = bundles["new"]
    target.deploy(*bundles["old"], token=1)
    body = bytearray((folder / name).read_bytes())
    body[len(body) // 2] ^= 1
    (folder / name).write_bytes(body)

    with pytest.raises(DeployError, match="not deployed"):
        target.deploy(digest, folder, token=1)
    assert target.read_back() == bundles["old"][0]


def test_another_whole_bundle_than_the_approved_one_is_refused(target, bundles):
    with pytest.raises(DeployError, match="approved is"):
        target.deploy(bundles["new"][0], bundles["old"][1], token=1)

    assert target.read_back() == ""


def test_a_bundle_that_is_not_there_is_refused(target, bundles, tmp_path):
    with pytest.raises(DeployError, match="not whole"):
        target.deploy(bundles["new"][0], tmp_path / "nowhere", token=1)


def test_a_link_inside_a_bundle_is_refused(target, bundles, tmp_path):
    digest, folder = bundles["new"]
    (folder / "weights").rename(tmp_path / "weights")
    (folder / "weights").symlink_to(tmp_path / "weights")

    with pytest.raises(DeployError, match="is a link"):
        target.deploy(digest, folder, token=1)
    assert target.read_back() == ""


def test_no_word_but_a_digest_ever_becomes_a_path_or_a_tag(target, bundles):
    for word in ("../../etc", "current", "A" * 64):
        with pytest.raises(DeployError, match="no SHA-256"):
            target.deploy(word, bundles["new"][1], token=1)
        with pytest.raises(DeployError, match="no SHA-256"):
            target.roll_back(word, token=1)


# --- the filesystem alone -----------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path):
    return FilesystemTarget(tmp_path / "crate-7", verify=verify)


def test_a_reader_follows_one_link_to_a_whole_release(on_disk, bundles):
    on_disk.deploy(*bundles["new"], token=1)

    assert on_disk.current.is_symlink()
    assert sorted(path.name for path in on_disk.current.iterdir()) == [
        "hls",
        "manifest.json",
        "threshold.json",
        "weights",
    ]
    assert on_disk.current.resolve().name == bundles["new"][0]


def test_bits_that_change_on_the_target_are_seen_and_replaced_by_the_next_deployment(on_disk, bundles):
    on_disk.deploy(*bundles["old"], token=1)
    on_disk.deploy(*bundles["new"], token=1)
    (on_disk.current / "weights").write_bytes(b"other bits")

    with pytest.raises(DeployError, match="weights was altered"):
        on_disk.read_back()
    on_disk.deploy(*bundles["new"], token=1)
    assert on_disk.read_back() == bundles["new"][0]


def test_altered_bits_can_be_rolled_back(on_disk, bundles):
    on_disk.deploy(*bundles["old"], token=1)
    on_disk.deploy(*bundles["new"], token=1)
    (on_disk.current / "weights").write_bytes(b"other bits")

    assert on_disk.roll_back(bundles["new"][0], token=1) == bundles["old"][0]
    assert on_disk.read_back() == bundles["old"][0]


def test_a_way_back_whose_bits_changed_is_no_way_back(on_disk, bundles):
    on_disk.deploy(*bundles["old"], token=1)
    (on_disk.current / "weights").chmod(0o644)
    altered = on_disk.current.resolve() / "weights"
    on_disk.deploy(*bundles["new"], token=1)
    altered.write_bytes(b"other bits")

    with pytest.raises(DeployError, match="altered"):
        on_disk.roll_back(bundles["new"][0], token=1)
    assert on_disk.read_back() == bundles["new"][0]


def test_a_digest_that_is_none_never_becomes_a_path(on_disk, bundles):
    with pytest.raises(DeployError, match="no SHA-256"):
        on_disk.deploy("../../etc", bundles["new"][1], token=1)


def test_a_full_or_forbidden_disk_is_a_sentence(tmp_path, bundles):
    (tmp_path / "crate-7").write_text("a file where a folder belongs")

    with pytest.raises(DeployError, match="check the folder"):
        FilesystemTarget(tmp_path / "crate-7", verify=verify).deploy(*bundles["new"], token=1)


def test_a_token_file_that_was_damaged_stops_the_write(on_disk, bundles):
    on_disk.deploy(*bundles["old"], token=1)
    (on_disk.current.parent / "token").write_text("seven")

    with pytest.raises(DeployError, match="fencing token"):
        on_disk.deploy(*bundles["new"], token=2)


def killed_at(step, what):
    """Run `what` in a child that dies, as by kill -9, at its `step`-th call to the system.  True if it got that far."""
    child = os.fork()
    if child == 0:
        calls = iter(range(step))
        sys.addaudithook(lambda *_: next(calls, None) is None and os._exit(9))
        what()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def every_kill(folder):
    """Kill a deployment and a rollback at every step; print what was found wrong."""
    bundles = {name: folder / "bundles" / name for name in ("old", "new")}
    digests = {name: make_bundle(path, name) for name, path in bundles.items()}
    ways = {"deploy": ("old", "new"), "roll_back": ("new", "old")}
    kills, wrong = dict.fromkeys(ways, 0), []
    for way, (begin, end) in ways.items():
        for step in range(1, 1000):
            place = folder / "crate"
            shutil.rmtree(place, ignore_errors=True)
            target = FilesystemTarget(place, verify=verify)
            target.deploy(digests["old"], bundles["old"], token=1)
            if way == "roll_back":
                target.deploy(digests["new"], bundles["new"], token=1)

            def go(target=target, way=way):
                if way == "deploy":
                    target.deploy(digests["new"], bundles["new"], token=2)
                else:
                    target.roll_back(digests["new"], token=2)

            died = killed_at(step, go)
            seen = target.read_back()
            if seen not in {digests[begin], digests[end]}:
                wrong.append(f"{way} killed at {step}: {seen} runs")
            go()
            if target.read_back() != digests[end] or (way == "deploy" and target.way_back() != digests["old"]):
                wrong.append(f"{way} killed at {step}: does not recover")
            if list((place / "releases").glob(".incoming-*")):
                wrong.append(f"{way} killed at {step}: leaves a partial release behind")
            if not died:
                break
            kills[way] += 1
    sys.stdout.write(json.dumps({"kills": kills, "wrong": wrong}))


def test_a_kill_at_every_step_leaves_the_old_release_or_the_new_one(tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from tests.contract.test_deploy_target import every_kill; every_kill(Path(sys.argv[1]))"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)

    found = json.loads(answer.stdout)
    assert found["wrong"] == []
    assert found["kills"]["deploy"] > 40
    assert found["kills"]["roll_back"] > 10
