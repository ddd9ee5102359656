"""Kill the daemon with -9 at random moments of the demo, and compare the record with that of an undisturbed run.

The demo is prepared once and played once undisturbed.  Then it is played again on copies of the prepared folder while a
second thread kills the daemon after random waits; whoever waits for something starts it again, as systemd would.  The
records must tell the same story: the same lumisections with the same outcomes, the same alarms, the same bundle digest,
and exactly one deployment.  Times, and what is bound to times (request ids), are left out of the comparison.
"""

import argparse
import json
import random
import shutil
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon import config
from daemon.assemble import parts
from daemon.demo.play import Daemon, Play
from daemon.demo.stage import free_port, prepare, retrigger
from daemon.ledger import Ledger
from daemon.lifecycle.codec import plain
from daemon.lifecycle.facts import to_json

BOUND_TO_TIME = {"at", "request_id", "expires_at", "transition", "attempt", "actor", "statement_digest", "keyid"}
MACHINERY = {"training_failed", "deployment_failed"}


def story(path: Path) -> dict[str, Any]:
    """Return what the ledger tells, without times and without the paths of this copy."""
    settings = config.load(path)
    home = str(path.parent.resolve())
    with Ledger.open(settings.ledger.url) as ledger:
        facts = [(one.subject, to_json(one.fact)) for one in ledger.facts()]
        outcomes = [plain(one) for one in ledger.outcomes(settings.stream.name)]
        problems = list(ledger.verify())
        running = config.load(path).deploy.folder / "current"
    told = [
        [subject, {key: value for key, value in body.items() if key not in BOUND_TO_TIME}]
        for subject, body in facts
        if body["kind"] not in MACHINERY
    ]
    text = json.dumps({"facts": told, "outcomes": outcomes}, sort_keys=True).replace(home, "HOME")
    tree: dict[str, Any] = json.loads(text)
    tree["facts"].sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    tree["chain"] = problems
    tree["board"] = running.resolve().name
    tree["failures"] = sum(body["kind"] in MACHINERY for _, body in facts)
    return tree


def copy_of(prepared: Path, goal: Path) -> Path:
    """Return the configuration of a fresh copy of the prepared demo, with ports of its own."""
    shutil.rmtree(goal, ignore_errors=True)
    shutil.copytree(prepared, goal, symlinks=True)
    path = goal / "retrigger.toml"
    old = config.load(path)
    text = path.read_text(encoding="utf-8")
    text = text.replace(old.metrics.listen, f"127.0.0.1:{free_port()}")
    path.write_text(text, encoding="utf-8")
    return path


class Killer(threading.Thread):
    """Kills the daemon after random waits: mostly soon after a start, sometimes later."""

    def __init__(self, daemon: Daemon, kills: int, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self._daemon, self._left, self._rng = daemon, kills, rng
        self.done = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Kill until the quota is done or the play is over."""
        while self._left and not self.over.wait(self._rng.choice([0.3, 1.0, 3.0, 8.0]) * self._rng.random() + 0.05):
            if self._daemon.kill():
                self._left -= 1
                self.done += 1


def differences(one: Any, other: Any) -> list[str]:
    """Return the first entries that only one of two stories has."""
    out = []
    for key in ("outcomes", "facts"):
        left = {json.dumps(entry, sort_keys=True) for entry in one[key]}
        right = {json.dumps(entry, sort_keys=True) for entry in other[key]}
        out += [f"only undisturbed: {entry[:300]}" for entry in sorted(left - right)[:5]]
        out += [f"only with kills: {entry[:300]}" for entry in sorted(right - left)[:5]]
        if len(one[key]) != len(other[key]):
            out.append(f"{key}: {len(one[key])} undisturbed, {len(other[key])} with kills")
    if one["board"] != other["board"]:
        out.append(f"board: {one['board'][:16]} undisturbed, {other['board'][:16]} with kills")
    return out


def main() -> int:
    """Run the campaign; 0 when every record told the same story."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kills-per-play", type=int, default=25)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--folder", type=Path, default=Path("var/kills"))
    parser.add_argument("--keep", action="store_true", help="use the folder prepared before")
    chosen = parser.parse_args()
    prepared, started = chosen.folder / "prepared", time.monotonic()
    if not (chosen.keep and (prepared / "retrigger.toml").exists()):
        prepare(prepared, print)
    undisturbed = copy_of(prepared, chosen.folder / "play")  # one place for all: outcomes are digested with their paths
    _play(undisturbed, Daemon(undisturbed, page=False))
    expected = story(undisturbed)
    print(f"undisturbed: {len(expected['outcomes'])} lumisections, {len(expected['facts'])} facts")
    rng, killed, bad, number = random.Random(chosen.seed), 0, 0, 0
    while killed < chosen.kills:
        number += 1
        path = copy_of(prepared, chosen.folder / "play")
        daemon = Daemon(path, page=False)
        killer = Killer(daemon, min(chosen.kills_per_play, chosen.kills - killed), rng)
        killer.start()
        _play(path, daemon, killer)
        found = differences(expected, told := story(path)) + told["chain"]
        killed += killer.done
        bad += bool(found)
        print(
            f"play {number}: {killer.done} kills, {daemon.starts} starts, {told['failures']} machinery failures, "
            f"{'SAME RECORD' if not found else 'DIFFERENT'}",
            flush=True,
        )
        for line in found:
            print(f"   {line}")
    print(
        f"{killed} kills in {number} plays, seed {chosen.seed}: {number - bad} records equal to the undisturbed one, "
        f"{bad} different, {time.monotonic() - started:.0f} s, {datetime.now(tz=UTC):%Y-%m-%d}"
    )
    return 1 if bad else 0


def _play(path: Path, daemon: Daemon, killer: Killer | None = None) -> None:
    try:
        with parts(config.load(path)) as ready:
            Play(ready, path, daemon, lambda _: None).everything()
    finally:
        if killer is not None:
            killer.over.set()
            killer.join()
        daemon.stop()
    retrigger("status", "--config", str(path))


if __name__ == "__main__":
    sys.exit(main())
