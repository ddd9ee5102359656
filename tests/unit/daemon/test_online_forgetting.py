"""Which snapshots of the online learner stay on disk."""

from daemon.config import Settings
from daemon.online import Following
from daemon.policy_file import load_policy
from retrain.progress import write_whole


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
