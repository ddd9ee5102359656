"""A candidate on a board that is read out: shadow, probation and live in one daemon, and back by itself when it errs.

The daemon is a process of its own, the candidates are trained and proven by it, and the board double runs the library
of whatever bundle the target's folder points at, event by event, in the files that the daemon then reads.
"""

import re
import time
from datetime import UTC, datetime
from importlib.resources import files
from itertools import groupby

import pytest

from daemon import config
from daemon.assemble import parts
from daemon.board_log import BoardLog
from daemon.demo.delivery import Delivery
from daemon.demo.play import Daemon
from daemon.demo.stage import PASSWORDS, Act, Scale, prepare
from daemon.lifecycle.board_facts import BoardOutputDiffers, GuardTripped
from daemon.shelf import champion_digest, whole_champion
from daemon.stories import story
from drift.simulate.writer import write_file
from retrain.bundle import EMULATOR
from tests.board_double import COLLECTION, STAMP, BoardDouble, read_columns
from tests.e2e.homes import retrigger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ACT = Act("healthy", "none", 7, 33, 9660, "seven healthy fills")
POLICY = {
    "shadow_lumisections = 0 ": "shadow_lumisections = 20 ",
    "probation_lumisections = 0 ": "probation_lumisections = 40 ",
    "mismatch_certainty = 0.001": "mismatch_certainty = 0.002",
    "rate_tolerance = 0.1 ": "rate_tolerance = 0.5 ",  # a few thousand passing events tell little more
    "recheck_minutes = 5.0": "recheck_minutes = 0.01",
}
SETTINGS = {
    'board = "" ': f'board = "{COLLECTION}" ',
    '# faults = ["gain=0.1", "hot_tower=0.05"]': "faults = []",  # a training as small as this sees them or not
    "target_rate_hz = 200000.0": "target_rate_hz = 2000000.0",
    "minimum_lumisections = 90 ": "minimum_lumisections = 60 ",
    '# policy = "policy.toml"': 'policy = "policy.toml"',
    "# policy_unsigned = true": "policy_unsigned = true",
}
PATIENCE_S = 600.0
ONE_IN = 200


def changed(text, lines):
    for before, after in lines.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


class Crate:
    """The board, the beam and the people of one slot, beside a daemon that lives on."""

    def __init__(self, home, ready, daemon):
        self.home, self.ready, self.daemon, self.delivery = home, ready, daemon, Delivery(home)
        self.flipped, self.boards = 0, {}
        staged = sorted((home / "staged" / ACT.name / "incoming").glob("*.root"))
        published = (home / "staged" / ACT.name / "conditions" / "brilcalc.csv").read_text()
        fill_of = dict(re.findall(r"^(\d+):(\d+),", published, re.MULTILINE))
        by_fill = groupby(staged, lambda one: int(fill_of[one.name[3:9]]))
        self.fills = {fill: list(group) for fill, group in by_fill}
        self.delivery.conditions(ACT)

    @property
    def digest(self):
        return (self.home / "board" / "current").resolve().name

    @property
    def ledger(self):
        return self.ready.ledger

    def until(self, good, what):
        deadline = time.monotonic() + PATIENCE_S
        while not good():
            assert time.monotonic() < deadline, f"{what}; {(self.home / 'daemon.log').read_text()[-2_000:]}"
            self.daemon.alive()
            time.sleep(0.2)

    def story(self, number):
        ready, now = self.ready, datetime.now(tz=UTC)
        found = [story(ready.sight, ready.policy, one, now) for one in ready.sight.candidates()]
        return found[number - 1] if len(found) >= number else {"phase": "not asked for"}

    def in_phase(self, number, *phases):
        self.until(lambda: self.story(number)["phase"] in phases, f"candidate {number} to be {' or '.join(phases)}")

    def beams(self, fill, mode):
        self.delivery.beam_mode(fill, mode, datetime.now(tz=UTC))

    def take(self, fill, stop=lambda: False):
        """Deliver a fill's files one by one, each read out of the board of that moment; return how many."""
        self.beams(fill, "STABLE BEAMS")
        for count, file in enumerate(self.fills[fill], start=1):
            key = (self.digest, self.flipped)
            if key not in self.boards:
                champion = whole_champion(self.ledger, self.digest)
                self.boards[key] = BoardDouble(champion.path / EMULATOR, champion.threshold, self.flipped)
            columns = read_columns(file)
            columns[COLLECTION] = self.boards[key].answer(columns)
            write_file(self.home / "incoming", file.name, columns, "ttree", STAMP)
            self.until(lambda name=file.name: self.taken(name), f"{file.name} to be taken")
            time.sleep(2.0)  # a few turns of the loop
            if stop():
                return count
        return len(self.fills[fill])

    def taken(self, name):
        return any(one.path.endswith(name) for one in self.ledger.files("accepted"))

    def ask(self, person, *words):
        password = PASSWORDS[person] + "\n"
        path = ("--config", self.home / "retrigger.toml")
        retrigger(*words, *path, "--person", person, "--password-stdin", stdin=password)

    def candidate(self, number):
        """Let one person ask for one, wait for its proof, and two others approve it."""
        self.ask("cleo", "train", "--reason", "the board walk")
        self.in_phase(number, "pending_approval")
        story = self.story(number)
        for person in ("ada", "bo"):
            self.ask(person, "approve", story["id"], "--code", story["code"], "--reason", "understood")
        self.in_phase(number, "approved")
        return story["bundle"]


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What was seen at each step of the walk."""
    home = tmp_path_factory.mktemp("board") / "home"
    path = prepare(home, lambda _: None, Scale(block=5), [ACT])
    path.write_text(changed(path.read_text(), SETTINGS))
    shipped = files("daemon").joinpath("policy.toml").read_text("utf-8")
    (home / "policy.toml").write_text(changed(shipped, POLICY))
    settings, daemon, seen = config.load(path), Daemon(path, page=False), {}
    daemon.alive()
    try:
        with parts(settings) as ready:
            crate = Crate(home, ready, daemon)
            seen["champion"] = crate.digest
            for fill in (9660, 9661):
                crate.take(fill)
            seen["first"] = crate.candidate(1)
            crate.beams(9661, "BEAM DUMP")
            crate.in_phase(1, "shadow")
            seen["on the board in shadow"] = crate.digest
            seen["champion in shadow"] = champion_digest(ready.ledger, settings.stream.slot)
            seen["file by file"] = []
            crate.take(9662, lambda: seen["file by file"].append(crate.story(1)["phase"]))
            crate.take(9663)
            crate.in_phase(1, "live")
            seen["second"] = crate.candidate(2)
            crate.beams(9663, "BEAM DUMP")
            crate.in_phase(2, "shadow")
            crate.take(9664, lambda: crate.story(2)["phase"] == "live_probation")
            crate.in_phase(2, "live_probation")
            crate.flipped = ONE_IN
            seen["files until back"] = crate.take(9665, lambda: crate.digest != seen["second"])
            crate.flipped = 0
            crate.until(lambda: crate.digest == seen["first"], "the board to go back")
            seen["at the end"] = crate.story(2)
            crate.take(9666)
            tripped = [one.fact for one in ready.ledger.facts(kind=GuardTripped.kind)]
            seen["tripped"] = [(one.guard, one.request_id) for one in tripped]
            seen["told"] = [one.fact.digest for one in ready.ledger.facts(kind=BoardOutputDiffers.kind)]
            log = BoardLog(settings.state / "board")
            seen["lines"] = {name: log.lines(seen[name], (0, 0)) for name in ("champion", "first", "second")}
    finally:
        daemon.stop()
    return seen


def test_in_shadow_the_candidate_is_on_the_board_and_the_champion_still_triggers(walked):
    assert walked["on the board in shadow"] == walked["first"]
    assert walked["champion in shadow"] == walked["champion"]
    assert walked["file by file"][:3] == ["shadow"] * 3
    assert walked["file by file"][-1] in {"live_probation", "live"}


def test_a_healthy_candidate_goes_live_and_every_bit_of_its_board_was_its_emulators(walked):
    for name in ("champion", "first"):
        compared = [line for line in walked["lines"][name] if line.events]
        assert len(compared) >= 90
        assert sum(line.events for line in compared) >= 40_000
        assert sum(line.mismatches for line in compared) == 0


def test_a_board_that_errs_in_probation_goes_back_by_itself_and_the_fill_goes_on(walked):
    assert walked["tripped"] == [("mismatch", walked["at the end"]["request"])]
    assert walked["files until back"] <= 2
    assert walked["told"] == [walked["second"]]
    assert walked["at the end"]["phase"] == "rolled_back"
