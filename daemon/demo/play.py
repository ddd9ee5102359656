"""The story: fills come, the daemon watches, people answer, a candidate goes live between fills.

Each scene waits for what the ledger says, never for a time, and may be played again from any point: a daemon that is
killed in between is started again by `Daemon.alive`.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.assemble import Parts, utc_now
from daemon.demo.delivery import Delivery
from daemon.demo.stage import ACTS, PASSWORDS, Act, retrigger
from daemon.errors import SetupError
from daemon.lifecycle import facts as f
from daemon.lifecycle import open_faults
from daemon.stories import story

PATIENCE_S = 420.0


class Daemon:
    """The daemon as a process that somebody keeps alive, as systemd would."""

    def __init__(self, config: Path, *, page: bool) -> None:
        self._words = [sys.executable, "-m", "daemon", "run", "--config", str(config)]
        self._words += [] if page else ["--no-page"]
        self._log = config.parent / "daemon.log"
        self._child: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def alive(self) -> None:
        """Start it if it does not run."""
        if self._child is None or self._child.poll() is not None:
            with self._log.open("ab") as log:
                self._child = subprocess.Popen(self._words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            self.starts += 1

    def kill(self) -> bool:
        """Kill it as a power cut would: no signal handler runs.  Returns whether there was anything to kill."""
        child = self._child
        if child is None or child.poll() is not None:
            return False
        child.kill()
        child.wait()
        return True

    def stop(self) -> None:
        """Ask it to end, as an operator would."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()


class Play:
    """The scenes in order."""

    def __init__(self, ready: Parts, config: Path, daemon: Daemon, say: Callable[[str], None]) -> None:
        """Take the open record to look at, the configuration for the verbs, and who keeps the daemon alive."""
        self._ready = ready
        self._config = str(config)
        self._folder = config.parent
        self._delivery = Delivery(config.parent)
        self._daemon = daemon
        self._say = say

    def everything(self) -> None:
        """Play all scenes."""
        quiet, broken, ageing = ACTS
        self._data_taking(quiet)
        self._no_alarm(quiet)
        self._data_taking(broken)
        self._broken_detector()
        self._data_taking(ageing)
        self._real_shift()
        self._two_people()
        self._dump(ageing)
        self._live()
        self._record()

    # --- scenes ---------------------------------------------------------------------------------------------------

    def _data_taking(self, act: Act) -> None:
        self._say(f"\nFill {act.first_fill}: {act.title}.")
        self._delivery.conditions(act)
        self._delivery.beam_mode(act.first_fill, "STABLE BEAMS", datetime.now(tz=UTC))
        files = list(self._delivery.files(act))
        self._until(lambda: self._taken() >= self._expected(act), f"{len(files)} files of {act.name} to be taken")

    def _no_alarm(self, act: Act) -> None:
        if self._alarms():
            raise SetupError(f"the quiet fills raised {self._alarms()}; see {self._folder}/daemon.log")
        counts = self._counts()
        watched = counts.get("watched", 0)
        self._say(f"  {watched} lumisections watched, no alarm: pileup and prescale changes are not drift.")
        self._delivery.beam_mode(act.first_fill, "BEAM DUMP", datetime.now(tz=UTC))

    def _broken_detector(self) -> None:
        alarm = self._alarm("broken_detector")
        self._tell(alarm)
        asked = self._ready.sight.candidates()
        self._say(f"  Retraining is blocked: {len(asked)} candidates, the fault is open in the record.")
        stream = self._ready.settings.stream.name
        for fault in open_faults(one.fact for one in self._ready.ledger.facts(subject=stream)):
            words = ("--close", fault.alarm_id, "--reason", "HCAL power restored in the inter-fill gap")
            self._as("cleo", "faults", *words, done="no alarm")
        self._say("  cleo closes the fault after the repair; its lumisections stay out of every training.")
        self._delivery.beam_mode(9620, "BEAM DUMP", datetime.now(tz=UTC))

    def _tell(self, alarm: dict[str, Any]) -> None:
        onset = alarm["onset"]
        where = f"run {alarm['run']} lumisection {alarm['lumisection']}"
        self._say(f"  ALARM at {where}, since {onset['run']}:{onset['lumisection']}:")
        self._say(f"  {alarm['text']}")
        self._say(f"  verdict {alarm['verdict']} -> {alarm['action']}.")

    def _real_shift(self) -> None:
        alarm = self._alarm("real_shift")
        self._tell(alarm)
        self._until(lambda: bool(self._open("pending_approval")), "the candidate to be trained, proven and proposed")
        story = self._open("pending_approval")[0]
        self._say(
            f"  {story['id']} learned certified lumisections since the onset; request {story['request'][:12]} is open:"
        )
        for gate in story["gates"]:
            self._say(f"    gate {gate['number']:2d} {gate['verdict']:12s} {gate['name']}: {gate['summary']}")

    def _two_people(self) -> None:
        stories = self._open("pending_approval")
        if stories:
            story = stories[0]
            for person in ("ada", "bo"):
                reason = {"ada": "rate and inputs understood: ECAL ageing", "bo": "no open trouble, next gap is fine"}[
                    person
                ]
                self._as(person, "approve", story["id"], "--code", story["code"], "--reason", reason, done="approved")
                self._say(f"  {person} approves {story['id']}.")
        self._until(lambda: bool(self._open("approved") + self._open("live")), "the approvals to count")
        for story in self._open("approved"):
            self._say(f"  {story['next']}")

    def _dump(self, act: Act) -> None:
        self._delivery.beam_mode(act.first_fill + act.fills - 1, "BEAM DUMP", datetime.now(tz=UTC))
        self._say("\nBeam dump: the gap between fills opens.")

    def _live(self) -> None:
        self._until(lambda: bool(self._open("live")), "the deployment")
        running = self._ready.sight.running() or "nothing"
        self._say(f"  The board was read back: it runs {running[:12]}, the digest that was approved.")

    def _record(self) -> None:
        onset = self._alarm("real_shift")["onset"]
        before = self._one("history", "--run", str(onset["run"]), "--lumisection", str(onset["lumisection"]))[0]
        self._say(f"\nThe record: at {onset['run']}:{onset['lumisection']} ran {before['digest'][:12]};")
        after = self._one("history", "--run", str(onset["run"] + 10_000), "--lumisection", "1")[0]
        names = " and ".join(f"{one['person']} ({one['role']})" for one in after["approvals"])
        self._say(f"  from the next fill on runs {after['digest'][:12]}, approved by {names}.")
        audit = self._one("audit", "verify")[0]
        self._say(
            f"  audit: {'the hash chain holds' if not audit['problems'] else audit['problems']} ({audit['where']})."
        )
        counts = ", ".join(f"{n} {word}" for word, n in sorted(self._counts().items()))
        self._say(f"  lumisections: {counts}; alarms: {', '.join(alarm['verdict'] for alarm in self._alarms())}.")

    # --- what the record says; people's verbs go through the command line ----------------------------------------

    def _one(self, *words: str) -> list[dict[str, Any]]:
        return retrigger(*words, "--config", self._config)

    def _counts(self) -> dict[str, int]:
        return {result: n for (_, result), n in self._ready.ledger.figures().outcomes.items()}

    def _alarms(self) -> list[dict[str, Any]]:
        stored = self._ready.ledger.facts(subject=self._ready.settings.stream.name, kind="alarm_raised")
        return [dict(one.fact.alarm) for one in stored if isinstance(one.fact, f.AlarmRaised)]

    def _taken(self) -> int:
        return sum(n for (_, outcome), n in self._ready.ledger.figures().files.items() if outcome == "accepted")

    def _expected(self, act: Act) -> int:
        total = 0
        for one in ACTS:
            total += len(list((self._folder / "staged" / one.name / "incoming").glob("*.root")))
            if one is act:
                break
        return total

    def _open(self, phase: str) -> list[dict[str, Any]]:
        found = [one for one in self._ready.sight.candidates() if one.phase == phase]
        return [story(self._ready.sight, self._ready.policy, one, utc_now()) for one in found]

    def _alarm(self, verdict: str) -> dict[str, Any]:
        def told() -> list[dict[str, Any]]:
            return [alarm for alarm in self._alarms() if alarm["verdict"] == verdict]

        self._until(lambda: bool(told()), f"an alarm with verdict {verdict}")
        return told()[-1]

    def _as(self, person: str, *words: str, done: str = "") -> None:
        try:
            retrigger(
                *words, "--config", self._config, "--person", person, "--password-stdin", password=PASSWORDS[person]
            )
        except SetupError as refusal:
            if not done or done not in str(refusal):
                raise

    def _until(self, good: Callable[[], bool], what: str) -> None:
        """Wait until something holds, keeping the daemon alive.

        Raises:
            SetupError: It did not come to hold in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._daemon.alive()
            if good():
                return
            if time.monotonic() > deadline:
                raise SetupError(f"waited {PATIENCE_S:.0f} s for {what}; see {self._folder}/daemon.log")
            time.sleep(0.5)
