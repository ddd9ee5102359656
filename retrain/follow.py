"""The online learner as one process: ``python -m retrain.follow FOLDER``.

It reads ``follow.json`` in the folder (recipe, champion, lumisections as in a job), takes each lumisection that it has
not taken, in the order listed, and ends.  Kill it at any instant: the same command goes on and ends in the same
digest.  It says what it does in ``progress.json`` and, last, what it became in ``learned.json``.  Where the description
has ``snapshot_every`` and ``snapshots`` (a folder), it leaves a snapshot there after each so many lumisections, and
names the last one in ``snapshot.json``.

Exit codes: 0 done, 2 the description is wrong, 3 the machinery failed, 4 another process has the folder.
"""

import logging
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from retrain.child import die_with_parent
from retrain.dataset import ListedLumisection, read_lumisection
from retrain.errors import JobBusyError, RecipeError, RetrainError
from retrain.job import BUSY, FAILED, WRONG, held
from retrain.online import ALREADY, Learned, Portion
from retrain.online_store import OnlineStore, open_from_json
from retrain.progress import Progress, read_whole, write_whole

log = logging.getLogger("retrain.follow")


def run(folder: Path) -> dict[str, Any]:
    """Take every listed lumisection that is not taken yet; return what the learner became.

    Raises:
        RecipeError: ``follow.json`` is missing or lacks a key.
        DatasetError: A lumisection is not the one listed, or a state was altered.
        JobBusyError: Another process works in the folder.
    """
    value = read_whole(folder / "follow.json")
    if value is None or not {"recipe", "champion", "lumisections"} <= set(value):
        raise RecipeError(f"{folder / 'follow.json'}: expected an object with recipe, champion and lumisections")
    listed = [ListedLumisection.from_json(one) for one in value["lumisections"]]
    with held(folder):
        progress = Progress(folder / "progress.json", lambda: datetime.now(UTC))
        progress.stage("online")
        store = open_from_json(folder, value)
        refused: dict[str, str] = {}
        _snapshot(store, folder, value)  # a kill may have come between the last state and its snapshot
        for index, one in enumerate(listed):
            progress.beat(index / len(listed), f"lumisection {one.run}:{one.lumisection}")
            refusal = store.take(_portion(one, store.learner.width))
            if refusal and refusal != ALREADY:
                refused[f"{one.run}:{one.lumisection}"] = refusal
            elif not refusal:
                _snapshot(store, folder, value)
        state = store.latest()
        said = {"digest": state.digest, "number": state.number, "refused": refused, "taken": _spans(state)}
        write_whole(folder / "learned.json", said)
        progress.stage("done")
        return said


def _snapshot(store: OnlineStore, folder: Path, value: Mapping[str, Any]) -> None:
    """Leave the last state to be asked for, when its number is one of those that are."""
    every, number = value.get("snapshot_every"), store.numbers()[-1]
    if not every or number == 0 or number % int(every):
        return
    digest, _ = store.snapshot(Path(value["snapshots"]))
    write_whole(folder / "snapshot.json", {"digest": digest, "number": number, "taken": _spans(store.latest())})


def _spans(state: Learned) -> list[list[int]]:
    return [[span.run, span.first, span.last] for span in state.taken]


def _portion(one: ListedLumisection, width: int) -> Portion:
    features = read_lumisection(one, width)
    own = (one.run, one.lumisection, np.ascontiguousarray(features), one.certified, one.sha256)
    return Portion(*own, fill=one.fill, pileup=one.pileup, era=one.era)


def main(arguments: list[str]) -> int:
    """Follow the lumisections named in a folder and return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m retrain.follow FOLDER (a folder that holds follow.json)\n")
        return WRONG
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.simplefilter("ignore")  # brevitas and torch warn at import; verdicts come from gates
    try:
        die_with_parent()
        said = run(Path(arguments[0]))
    except JobBusyError as error:
        sys.stderr.write(f"{error}\n")
        return BUSY
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    except RetrainError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    log.info("followed number=%d digest=%s", said["number"], said["digest"][:16])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
