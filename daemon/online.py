"""The online learner beside the loop: what it is fed, when it begins anew, and which of its states is asked for.

A child process (`python -m retrain.follow`) takes each certified lumisection that the champion has not learned.  After
every ``retrain.online_every`` of them it leaves a snapshot, which goes through the same gates as any candidate.  When
something it learned turns out bad (certification taken back, a fault whose onset lies before), what it became is left
behind and a new learner begins from the champion: nothing is unlearned in place.  All of it is on disk; the loop may be
killed at any instant.
"""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.config import Settings
from daemon.ledger import Outcome
from daemon.lessons import row_of, within
from daemon.lifecycle import Policy
from daemon.recipes import successor_of
from daemon.training_settings import RetrainSettings
from retrain.bundle import Bundle
from retrain.dataset import kept_for_measuring
from retrain.digest import digest_of
from retrain.job import BUSY
from retrain.progress import read_whole, write_whole
from retrain.recipe import LumisectionRange, Recipe, ranges

log = logging.getLogger("retrigger.online")
PORTION = 200
"""Lumisections that one child is given, so that what it learned is seen soon."""
LOOK_AGAIN = timedelta(seconds=30)
MEASURES = (
    *("lumisections", "target_rate_hz", "bunches", "signals", "margin", "faults", "proof_vectors", "synthesise"),
    *("tries", "needs_gain"),
)
"""Fields of a recipe that say how a state is measured: another value of them begins no other learner."""


@dataclass(frozen=True)
class Snapshot:
    """A state that may become a candidate.

    Attributes:
        digest: Of the state.
        number: Lumisections it learned from.
        taken: Which.
    """

    digest: str
    number: int
    taken: tuple[LumisectionRange, ...]


class Learner:
    """One learner: a champion, a recipe, and the generation that began after the last one was left behind."""

    def __init__(self, home: Path, recipe: Recipe, champion: Bundle) -> None:
        """Take up the learner of a champion under a recipe.

        Args:
            home: Folder of all learners and snapshots.
            recipe: Of policy ``online``; its lumisections do not matter.
            champion: What it starts from.
        """
        terms = digest_of({name: value for name, value in recipe.to_json().items() if name not in MEASURES})
        self.home, self.recipe, self.champion = home, recipe, champion
        self.key = f"{champion.digest[:12]}-{terms[:12]}"

    @property
    def left(self) -> list[str]:
        """Why each generation before this one was left behind."""
        found = sorted(self.home.glob(f"{self.key}-*/left.json"), key=lambda path: int(path.parent.name.split("-")[-1]))
        return [str((read_whole(path) or {}).get("reason")) for path in found]

    @property
    def folder(self) -> Path:
        """Folder of the generation that learns now."""
        return self.home / f"{self.key}-{len(self.left) + 1}"

    @property
    def taken(self) -> tuple[LumisectionRange, ...]:
        """What it has learned from, as its child said last."""
        told = read_whole(self.folder / "learned.json") or {}
        return tuple(LumisectionRange(*span) for span in told.get("taken", ()))

    @property
    def snapshot(self) -> Snapshot | None:
        """The last state that it left to be asked for."""
        told = read_whole(self.folder / "snapshot.json")
        if told is None:
            return None
        return Snapshot(told["digest"], told["number"], tuple(LumisectionRange(*span) for span in told["taken"]))

    def leave(self, reason: str) -> None:
        """Leave what it became behind; the next one begins from the champion."""
        log.warning("the online learner begins anew from %s: %s", self.champion.digest[:12], reason)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "left.json", {"reason": reason})

    def feed(self, lessons: Sequence[Outcome], every: int, retrain: RetrainSettings) -> bool:
        """Write down what the child is to take, and leave a snapshot after; return whether there is anything."""
        new = [one for one in lessons if not within(one, self.taken) and not self.kept(one)][:PORTION]
        if not new:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        before = read_whole(self.folder / "follow.json") or {"recipe": self.recipe.to_json()}
        said = {
            "recipe": before["recipe"],
            "champion": str(self.champion.path),
            "lumisections": [row_of(one, retrain) for one in new],
            "snapshot_every": every,
            "snapshots": str(self.home / "snapshots"),
        }
        write_whole(self.folder / "follow.json", said)
        return True

    def kept(self, one: Outcome) -> bool:
        """Whether a lumisection is never learned from, but kept to measure on."""
        return kept_for_measuring(one.run, one.lumisection, self.recipe.held_out_fraction, self.recipe.seed)

    def measured_on(self, snapshot: Snapshot, lessons: Sequence[Outcome], most: int) -> tuple[LumisectionRange, ...]:
        """Return the lumisections of a snapshot's recipe: the last that it learned, and those kept beside them."""
        last = max((span.run, span.last) for span in snapshot.taken)
        chosen = [one for one in lessons if within(one, snapshot.taken) or self.kept(one)]
        chosen = [one for one in chosen if (one.run, one.lumisection) <= last][-most:]
        whole = len({within(one, snapshot.taken) for one in chosen}) == 2
        return ranges((one.run, one.lumisection) for one in chosen) if whole else ()


class Following:
    """Feeds the learner of the champion, one child at a time."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._child: subprocess.Popen[bytes] | None = None
        self._of: Learner | None = None
        self._failures = 0
        self._retry: datetime | None = None
        self._seen: object = None
        self._looked: datetime | None = None
        self.trouble = ""

    @property
    def home(self) -> Path:
        """Folder of all learners and snapshots."""
        return self._settings.state / "online"

    @property
    def busy(self) -> bool:
        """Whether a child learns."""
        return self._child is not None and self._child.poll() is None

    def learner_of(self, champion: Bundle, forget: tuple[LumisectionRange, ...] = ()) -> Learner:
        """Return the learner that follows a champion; one that forgets more is another, and begins from the champion.

        Args:
            champion: What runs now.
            forget: Lumisections of its memory that may not be rehearsed any more.

        Raises:
            RefusedError: The champion has no memory, or another shape than the settings ask for.
        """
        way = self._settings.retrain.followed
        spans = champion.recipe.lumisections
        return Learner(self.home, successor_of(self._settings, spans, champion, policy=way, forget=forget), champion)

    def step(self, learner: Learner, lessons: Sequence[Outcome], now: datetime) -> Snapshot | None:
        """Look after the child, start one when there is something to learn, and return what may be asked for.

        A child that was killed may have left a snapshot that learned more than it said last; so both are held against
        the lessons, and what is returned was read before another child could leave a newer one.

        Args:
            learner: Of what runs now.
            lessons: All that may be learned from, in the order of time, without what the champion learned.
            now: UTC.
        """
        if self.busy:
            return None
        self._ended(now)
        snapshot = learner.snapshot
        learned = (*learner.taken, *(snapshot.taken if snapshot is not None else ()))
        if bad := _gone(learned, lessons):
            learner.leave(f"it had learned {bad}, which may not be learned from any more")
            snapshot = None
        self._go_on(learner, lessons, now)
        return snapshot

    def _go_on(self, learner: Learner, lessons: Sequence[Outcome], now: datetime) -> None:
        """Start a child when there is something to learn, unless a person has to look first."""
        broken = [reason for reason in learner.left if "failed" in reason]
        if len(broken) >= self._policy.attempts:
            last = self.home / f"{learner.key}-{len(learner.left)}" / "left.json"
            self.trouble = (
                f"the online learner was begun {len(broken)} times in vain, last: {broken[-1]}; mend it, then remove "
                f"{last} to have it go on"
            )
            return
        if self._retry is not None and now < self._retry:
            return
        every = self._settings.retrain.online_every
        if every is not None and learner.feed(lessons, every, self._settings.retrain):
            self._start(learner)

    def due(self, key: object, now: datetime) -> bool:
        """Whether to look again: never while a child learns, else when something changed or half a minute is over.

        Args:
            key: What changes when there may be something to learn.
            now: UTC.
        """
        if self.busy:
            self._stop_if_silent(now)
            return False
        again = self._child is not None or key != self._seen or self._looked is None or now - self._looked >= LOOK_AGAIN
        if again:
            self._seen, self._looked = key, now
        return again

    def stop(self) -> None:
        """End the child; the state that it had stays."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def forget(self, named: Iterable[str]) -> None:
        """Remove snapshots but those named, of candidates being built, and the last of each learner that goes on."""
        last = [path for path in self.home.glob("*/snapshot.json") if not path.with_name("left.json").exists()]
        kept = {*named, *((read_whole(path) or {}).get("digest") for path in last)}
        for path in (self.home / "snapshots").glob("*"):
            if path.name not in kept and not path.name.startswith("."):
                shutil.rmtree(path)

    def _start(self, learner: Learner) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (learner.folder / "log.txt").open("ab") as sink:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "retrain.follow", str(learner.folder)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environment,
                start_new_session=True,
            )
        self._of = learner

    def _ended(self, now: datetime) -> None:
        """Take note of how the child ended; one that fails again and again is left behind."""
        child, learner = self._child, self._of
        if child is None or learner is None:
            return
        self._child = None
        if child.returncode == BUSY:  # one of before this start ends soon
            self._retry = now + self._policy.backoff(1)
            return
        if child.returncode == 0:
            self._failures, self._retry, self.trouble = 0, None, ""
            return
        self._failures += 1
        self._retry = now + self._policy.backoff(self._failures)
        self.trouble = f"the online learner failed {self._failures} times: {_last_line(learner.folder / 'log.txt')}"
        log.warning("%s", self.trouble)
        if self._failures >= self._policy.attempts:
            learner.leave(self.trouble)
            self._failures = 0

    def _stop_if_silent(self, now: datetime) -> None:
        assert self._of is not None
        signs = [self._of.folder / name for name in ("follow.json", "progress.json")]
        newest = max(path.stat().st_mtime for path in signs if path.exists())
        if now.timestamp() - newest > self._settings.retrain.stalled_s:
            self.stop()


def _gone(taken: Iterable[LumisectionRange], lessons: Sequence[Outcome]) -> str:
    """Return the first lumisection that was learned and is no lesson any more; empty when there is none."""
    good = {(one.run, one.lumisection) for one in lessons}
    pairs = ((span.run, number) for span in taken for number in range(span.first, span.last + 1))
    return next((f"{run}:{number}" for run, number in pairs if (run, number) not in good), "")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
