"""When a report is made, and that it comes into the record: one fill at a time, in a child process.

A fill is over when a later one has outcomes, or when its beam was dumped and no file waits.  The report is moved to its
place before the fact names it, so a kill at any instant is repaired by making it again.  Failures are facts too, and
after a few of them a fill is left alone; nothing here ever stops the loop.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon import fill_trail
from daemon.config import Settings
from daemon.ledger import FillSpan, Ledger
from daemon.lifecycle import Fact, FillReported, FillReportFailed
from daemon.lifecycle.codec import canonical, parse
from daemon.output import writing
from daemon.reports import shelf
from daemon.reports.order import order_of
from drift.conditions import BeamModeFeed

log = logging.getLogger("retrigger.reports")
ACTOR = "daemon"
RUNS_BACK = 24
FILLS_BACK = 3
"""Fills before the newest that are looked at: a daemon that was away for longer does not make them all."""
TRIES, EDITIONS = 3, 5
APART = timedelta(minutes=10)
"""Between the first two editions; it doubles, so that five of them see what comes hours after the dump."""
FOREVER_S = 3e9
NEVER = datetime.max.replace(tzinfo=UTC)
OVER = ("BEAM DUMP", "RAMP DOWN", "CYCLING", "NO BEAM", "SETUP")
"""Modes in which the fill that the machine names has no collisions any more."""
CHILD = ("-m", "daemon.reports")


@dataclass(frozen=True)
class _Making:
    span: FillSpan
    child: "subprocess.Popen[bytes]"
    begun: datetime
    folder: Path


class FillReports:
    """Makes the reports that are due; `step` once a turn, `close` at the end."""

    def __init__(
        self, settings: Settings, ledger: Ledger, *, wall_s: float = 600.0, child: Sequence[str] = CHILD
    ) -> None:
        """Take where things lie, how long one report may take, and the words that make it (given by tests)."""
        self._settings, self._ledger, self._wall_s, self._child = settings, ledger, wall_s, tuple(child)
        self._stream, self._folder = settings.stream.name, settings.reports
        self._beam = BeamModeFeed(settings.conditions.folder / "beam_mode.jsonl", FOREVER_S)
        self._making: _Making | None = None
        self._looked: tuple[object, ...] = ()
        self._again_at = NEVER
        shutil.rmtree(self._work, ignore_errors=True)  # what a killed daemon left half made

    @property
    def _work(self) -> Path:
        return self._folder / "making"

    @property
    def busy(self) -> bool:
        """Whether a report is being made."""
        return self._making is not None

    def step(self, now: datetime, *, waiting: int = 0) -> None:
        """Take in what was made, and begin the next report that is due.

        Args:
            now: The time.
            waiting: Files that are there and not yet taken; after a dump their lumisections are waited for.
        """
        if self._making is not None and not self._ended(self._making, now):
            return
        due = self._due(now, waiting)
        if due is not None:
            self._begin(due, now)

    def close(self) -> None:
        """End the child, if there is one; its report is begun again at the next start."""
        if self._making is not None:
            self._making.child.kill()
            self._making.child.wait()
            self._making = None

    # --- which one ------------------------------------------------------------------------------------------------

    def _due(self, now: datetime, waiting: int) -> FillSpan | None:
        beam = self._beam.now(now)
        dumped = beam.fill if beam is not None and beam.mode in OVER and not waiting else None
        later = beam.fill if beam is not None else None
        seen = (self._ledger.latest(self._stream), self._ledger.figures().files, dumped, later)
        if seen == self._looked and now < self._again_at:
            return None
        spans = self._ledger.fills(self._stream, RUNS_BACK)[-FILLS_BACK - 1 :]
        over = list(spans[:-1])
        if spans and (spans[-1].fill == dumped or (later is not None and later > spans[-1].fill and not waiting)):
            over.append(spans[-1])
        told = {one.fill: one for one in shelf.listed(self._ledger, self._stream)}
        due_at = {span: self._due_at(span, told.get(span.fill), now) for span in over}
        for span, at in due_at.items():
            if at is not None and at <= now:
                return span
        later_on = [at for at in due_at.values() if at is not None]
        self._looked, self._again_at = seen, min(later_on, default=NEVER)
        if not later_on:
            self._forget_trails(over, told)
        return None

    def _due_at(self, span: FillSpan, before: shelf.Listed | None, now: datetime) -> datetime | None:
        """Return when a fill without a report, or with one that rests on fewer lumisections, is due for one.

        Tries and editions are bounded; None: no more of them, or none is wanted.
        """
        if before is None:
            return now
        if before.failures:
            return now if before.failures < TRIES else None
        assert before.report is not None
        if before.report.lumisections >= span.lumisections:
            return None
        editions = sum(
            isinstance(one.fact, FillReported) and one.fact.fill == span.fill
            for one in self._ledger.facts(subject=shelf.SUBJECT, kind=FillReported.kind)
        )
        return before.at + APART * 2 ** (editions - 1) if editions < EDITIONS else None

    def _forget_trails(self, over: Sequence[FillSpan], told: dict[int, shelf.Listed]) -> None:
        """Drop what the watch saw of fills before the last one that has its report."""
        done = [one for one in over if one.fill in told and told[one.fill].report is not None]
        for span in done[:-1]:
            folder = self._settings.state / "trail"
            fill_trail.drop(folder, order_of(self._ledger, self._settings, span)["files"])

    # --- making it ------------------------------------------------------------------------------------------------

    def _begin(self, span: FillSpan, now: datetime) -> None:
        folder = self._work / str(os.getpid())  # the child of a daemon that was killed may still write to its own
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with writing(folder / "order.json", "the order of a report") as sink:
            sink.write(canonical(order_of(self._ledger, self._settings, span)))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "svg"}
        environment.setdefault("MPLCONFIGDIR", str(self._settings.state / "matplotlib"))
        with (folder / "log.txt").open("wb") as said:
            child = subprocess.Popen(
                [sys.executable, *self._child, str(folder / "order.json"), str(folder / "report.html")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
            )
        self._making = _Making(span, child, now, folder)

    def _ended(self, making: _Making, now: datetime) -> bool:
        """Take in what the child left; return whether there is none any more."""
        status = making.child.poll()
        reason = ""
        if status is None:
            if (now - making.begun).total_seconds() <= self._wall_s:
                return False
            making.child.kill()
            making.child.wait()
            reason = f"it took longer than {self._wall_s:.0f} s"
        elif status != 0:
            reason = f"it ended with {status}: {_last_line(making.folder / 'log.txt')}"
        self._making, self._looked = None, ()
        self._ledger.append(shelf.SUBJECT, [self._fact(making, reason, now)])
        return True

    def _fact(self, making: _Making, reason: str, now: datetime) -> Fact:
        span, content = making.span, making.folder / "report.html"
        if not reason:
            try:
                order = parse((making.folder / "order.json").read_bytes())
                verdict, words = summary_of(content)
                sha256 = shelf.put(self._folder, span.fill, content)
            except (OSError, ValueError) as error:
                reason = f"it cannot be kept: {error}"
        common: dict[str, Any] = {"at": now, "actor": ACTOR, "stream": self._stream, "fill": span.fill}
        if reason:
            log.warning("the report of fill %d failed: %s", span.fill, reason)
            return FillReportFailed(**common, lumisections=span.lumisections, reason=reason)
        log.info("the report of fill %d is made: %s", span.fill, words)
        count = len(order["outcomes"])
        return FillReported(**common, lumisections=count, report_sha256=sha256, verdict=verdict, words=words)


def summary_of(report: Path) -> tuple[str, str]:
    """Return verdict and verdict line of a report that was made.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no report.
    """
    _, found, rest = report.read_text(encoding="utf-8").partition('<script type="application/json" id="behind">')
    if not found:
        raise ValueError(f"{report} holds no numbers behind its figures")
    tree = parse(rest.partition("</script>")[0].encode())
    return str(tree["verdict"]), str(tree["headline"])


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1][:500] if lines else "it said nothing"
