"""Which snapshots of the online learner stay on disk."""

from dataclasses import replace
from types import SimpleNamespace

from daemon.config import Settings
from daemon.online import Following, Learner
from daemon.policy_file import load_policy
from retrain.progress import write_whole
from tests.unit.daemon.test_triggers import NOON


def test_only_snapshots_of_candidates_being_built_and_the_last_of_each_learner_are_kept(tmp_path):
    following = Following(Settings(state=tmp_path), load_policy())
    for name in ("old", "building", "left", "last"):
        (following.home / "snapshots" / name).mkdir(parents=True)
    for number, name in enumerate(("left", "last"), 1):
        folder = following.home / f"champion-terms-{number}"
        folder.mkdir()
        write_whole(folder / "snapshot.json", {"digest": name, "number": 5, "taken": [[10, 1, 5]]})
    write_whole(following.home / "champion-terms-1" / "left.json", {"reason": "it had learned 10:1"})
    following.forget(["building"])

    assert sorted(path.name for path in (following.home / "snapshots").iterdir()) == ["building", "last"]


def test_a_learner_that_was_begun_in_vain_names_the_file_to_remove_and_then_goes_on(tmp_path):
    policy = replace(load_policy(), attempts=1)
    following = Following(Settings(state=tmp_path), policy)
    learner = object.__new__(Learner)
    learner.home, learner.key, learner.champion = following.home, "champion-terms", SimpleNamespace(digest="c" * 64)
    learner.leave("the online learner failed 3 times: no space left on device")
    following.step(learner, [], NOON)
    told = following.trouble
    left = following.home / "champion-terms-1" / "left.json"
    left.unlink()
    following.step(learner, [], NOON)

    assert f"remove {left} to have it go on" in told
    assert learner.folder == left.parent
