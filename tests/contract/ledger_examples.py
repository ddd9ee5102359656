"""Facts, files and lumisections for the contract tests of the ledger."""

from sqlalchemy import text

from daemon.ledger import FileTaken, Outcome
from daemon.lifecycle import facts as f
from tests.unit.daemon.lifecycle_examples import NOON, sha

STREAM = "zero-bias"


def paused(reason="access", at=NOON):
    return f.Paused(at=at, actor="timo", reason=reason)


def file(number=1, **changed):
    words = {"path": f"/in/{number}.root", "sha256": sha(f"file {number}"), "bytes": 10, "stream": STREAM}
    return FileTaken(**({**words, "outcome": "accepted", "at": NOON} | changed))


def lumisection(number, run=1, from_file=1, **changed):
    words = {
        "stream": STREAM,
        "run": run,
        "lumisection": number,
        "result": "watched",
        "reason": "",
        "events": 100,
        "fill": 9000,
        "pileup": 52.5,
        "certified": None,
        "events_path": f"/events/{run}_{number}.npy",
        "events_sha256": sha(f"events {run} {number}"),
        "file_sha256": sha(f"file {from_file}"),
    }
    return Outcome(**(words | changed))


def sql(ledger, statement, **values):
    with ledger._engine.begin() as connection:
        connection.execute(text(statement), values)
