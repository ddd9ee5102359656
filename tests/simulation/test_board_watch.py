"""Shadow and probation on a board double that runs the bundle's own emulator library, read out through ROOT files.

Everything but the board is real: library, files, reader, comparison, record, lifecycle and target.
"""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest

from daemon.candidates import Candidates
from daemon.ledger import FileTaken, Outcome
from daemon.lifecycle import Phase
from daemon.lifecycle import facts as f
from daemon.lifecycle.board_facts import BoardOutputDiffers, GuardTripped
from daemon.observing import Observing
from daemon.shelf import whole_champion
from daemon.sight import Sight
from daemon.training import SubprocessRunner
from drift.anytime import ratio_interval
from drift.conditions import BeamModeFeed, Conditions
from drift.schema import AXOL1TL_57
from drift.source.reader import Reader
from retrain.digest import digest_of
from retrain.working_point import share as binomial
from tests.board_double import COLLECTION, BoardDouble, crossings, inputs, real_library, replay, with_neighbours
from tests.unit.daemon.page_world import SLOT, STREAM, PageWorld, example_bundle

# building the library takes a compiler and hls4ml, which warns about its own deprecations
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

RUN, PILEUP, EVENTS = 401_010, 52.5, 1000
HELD = 400_000  # events the forecast rests on
SHADOW, PROBATION = 4, 8


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return real_library(tmp_path_factory.mktemp("library") / "network")


@pytest.fixture(scope="module")
def pool():
    return crossings(3000, 1)


@pytest.fixture(scope="module")
def threshold(library, pool):
    """About a fifth of these events pass."""
    scores = BoardDouble(library, 0).scores(inputs(pool))
    return int(np.sort(scores)[-len(scores) // 5])


@pytest.fixture(scope="module")
def reader():
    with Reader(AXOL1TL_57, board=COLLECTION) as one:
        yield one


class Slot:
    """A slot whose candidate was approved by two people and is about to be written."""

    def __init__(self, world, library, pool, threshold, reader, lead):
        folder = world.folder
        self.world, self.pool, self.reader, self.folder = world, pool, reader, folder
        self.passing = BoardDouble(library, 0).scores(inputs(pool)) >= threshold
        share = float(self.passing.mean())
        known = binomial(round(HELD * share), HELD, 0.95)
        strata = [{"pileup_from": 50.0, **asdict(known), **known.rates(2345)}]
        made = {"library": library, "strata": strata}
        champion = example_bundle(folder / "bundles", seed=50, champion=None, threshold=threshold + 1, **made)
        self.world.target.deploy(champion.digest, champion.path, token=1)
        imported = f.ChampionImported(
            at=self.world.now - timedelta(days=7),
            actor="root",
            slot=SLOT,
            digest=champion.digest,
            bundle_path=str(champion.path),
        )
        self.world.ledger.append(SLOT, [imported])
        self.world.champion = champion
        self.observing = Observing(
            self.world.ledger,
            SLOT,
            STREAM,
            lambda digest: whole_champion(self.world.ledger, digest),
            folder / "state" / "board",
        )
        self.policy = replace(
            self.world.policy,
            shadow_lumisections=SHADOW,
            probation_lumisections=PROBATION,
            mismatch_certainty=0.005,
        )
        self.world.policy = self.policy
        feed = BeamModeFeed(folder / "beam_mode.jsonl")
        parts = (self.world.ledger, self.world.people, self.world.target, self.world.certifier, feed, STREAM)
        self.world.sight = Sight(*parts, self.observing)
        self.candidates = Candidates(
            self.world.ledger,
            self.world.sight,
            self.policy,
            self.world.target,
            SubprocessRunner(stalled_s=60.0),
            jobs=folder / "jobs",
            job_of=lambda *_: {},
            lead=lead,
        )
        self.world.beam("STABLE BEAMS")
        self.world.take_data()
        self.name = self.world.propose(1, threshold=threshold, **made)
        self.lumisection = 0

    def approve(self):
        request = self.candidate.request.request_id
        for person, role in (("mila", "ml_expert"), ("timo", "trigger_oncall")):
            said = {"person": person, "role": role, "request_id": request, "reason": "looks right"}
            self.world.ledger.append(self.name, [f.Approved(at=self.world.now, actor=person, **said)])

    def between_fills(self):
        self.world.beam("NO BEAM")
        self.candidates.step(self.world.now)
        self.world.beam("STABLE BEAMS")

    @property
    def candidate(self):
        return self.world.candidate(self.name)

    def record(self, board, *, excess=0.0, rng, run=RUN, neighbours=False):
        """Take one lumisection of replayed events through a ROOT file; return what it was compared to."""
        self.lumisection += 1
        weights = np.where(self.passing, 1.0 + excess, 1.0)
        chosen = rng.choice(len(weights), EVENTS, p=weights / weights.sum())
        columns = replay(self.pool, chosen, run, self.lumisection)
        out = (-1, 0, 1) if neighbours else (0,)
        if neighbours:
            columns = with_neighbours(columns)
        path = board.write(self.folder / "incoming", run, {self.lumisection: columns}, out)
        (events,) = self.reader.read(path).contents.lumisections
        self.world.now += timedelta(seconds=23)
        self.world.beam("STABLE BEAMS")
        at = Conditions(run, self.lumisection, 9_876, PILEUP, 2345, None, "STABLE BEAMS", True, True)
        told = self.observing.take(events, at, self.world.now)
        row = {"stream": STREAM, "run": run, "lumisection": self.lumisection, "result": "watched", "reason": ""}
        kept = {"fill": 9_876, "pileup": PILEUP, "certified": True, "events_path": "", "events_sha256": ""}
        sha256 = digest_of([run, self.lumisection])
        file = FileTaken(path=path.name, sha256=sha256, bytes=1, stream=STREAM, outcome="accepted", at=self.world.now)
        outcome = Outcome(**row, **kept, events=EVENTS, file_sha256=sha256)
        self.world.ledger.take_file(file, [outcome], b"state", [] if told is None else [(SLOT, told)])
        self.candidates.step(self.world.now)
        return self.lumisection, int(self.passing[chosen].sum())

    def facts(self, kind):
        return [one.fact for one in self.world.ledger.facts(kind=kind.kind)]


@pytest.fixture
def slot(tmp_path, library, pool, threshold, reader):
    world = PageWorld.build(tmp_path)
    with world.ledger.lead("test", world.now) as lead:
        made = Slot(world, library, pool, threshold, reader, lead)
        made.approve()
        made.between_fills()
        yield made


def test_a_healthy_candidate_agrees_in_shadow_holds_its_rate_and_goes_live(slot, library, threshold):
    board, rng = BoardDouble(library, threshold), np.random.default_rng(1)
    assert slot.candidate.phase is Phase.SHADOW
    phases = []
    for _ in range(40):
        slot.record(board, rng=rng)
        phases.append(slot.candidate.phase)
        if phases[-1] is Phase.LIVE:
            break

    assert phases[-1] is Phase.LIVE
    assert phases.count(Phase.SHADOW) >= SHADOW - 1
    assert phases.count(Phase.LIVE_PROBATION) >= PROBATION
    assert slot.world.target.read_back() == slot.candidate.bundle_digest
    assert slot.facts(GuardTripped) == slot.facts(BoardOutputDiffers) == []


def test_one_wrong_bit_in_ten_thousand_events_goes_back_in_the_lumisection_in_which_it_is_seen(
    slot, library, threshold
):
    board, rng = BoardDouble(library, threshold, flipped=10_000, seed=3), np.random.default_rng(2)
    wrong_in = None
    for _ in range(40):
        number, _ = slot.record(board, rng=rng)
        if board.wrong and wrong_in is None:
            wrong_in = number
        if slot.facts(GuardTripped):
            break

    (tripped,) = slot.facts(GuardTripped)
    assert tripped.guard == "mismatch"
    assert number == wrong_in  # tolerated are none: the first wrong bit is certain
    assert slot.candidate.phase is Phase.ROLLED_BACK
    assert slot.world.target.read_back() == slot.world.champion.digest
    (differs,) = slot.facts(BoardOutputDiffers)
    assert (differs.lumisection, differs.mismatches) == (wrong_in, len(board.wrong))
    (kept,) = (slot.folder / "state" / "board" / slot.candidate.bundle_digest / "mismatches").glob("*.npz")
    with np.load(kept) as stored:
        assert stored["differences"][:, 1].tolist() == [event for _, event in board.wrong]
        assert np.array_equal(stored["differences"][:, 2], stored["differences"][:, 3] ^ 1)
        assert stored["features"].shape == (57, len(board.wrong))


def test_a_rate_a_fifth_too_high_goes_back_in_the_lumisection_in_which_it_is_certain(slot, library, threshold):
    board, rng = BoardDouble(library, threshold), np.random.default_rng(4)
    while slot.candidate.phase is Phase.SHADOW:
        slot.record(board, rng=rng)
    assert slot.candidate.phase is Phase.LIVE_PROBATION
    share = float(slot.passing.mean())
    relative = np.sqrt((1 - share) / (HELD * share))
    passed = looks = 0
    certain = None
    for _ in range(60):
        number, fired = slot.record(board, rng=rng, excess=0.2 / (1 - 1.2 * share))
        passed, looks = passed + fired, looks + 1
        low, _ = ratio_interval(passed, looks * EVENTS * share, relative, looks)
        if low > 1.0 + slot.policy.rate_tolerance and certain is None:
            certain = number
        if slot.facts(GuardTripped):
            break

    (tripped,) = slot.facts(GuardTripped)
    assert tripped.guard == "rate"
    assert certain is not None
    assert number - certain <= 1
    assert slot.candidate.phase is Phase.ROLLED_BACK
    assert slot.world.target.read_back() == slot.world.champion.digest


def test_every_crossing_that_is_read_out_is_compared(slot, library, threshold):
    board, rng = BoardDouble(library, threshold), np.random.default_rng(5)
    slot.record(board, rng=rng, neighbours=True)
    line = next((slot.folder / "state" / "board" / slot.candidate.bundle_digest).glob("*.jsonl")).read_text()

    cells = {name: (events, scores) for name, events, scores, _ in json.loads(line)["cells"]}
    assert cells == {f"{SLOT}:{bx}": (EVENTS, 0) for bx in (-1, 0, 1)}


def test_lumisections_that_the_old_bits_still_answered_are_nobodys_fault(slot, library, threshold):
    old, new, rng = BoardDouble(library, threshold + 1), BoardDouble(library, threshold), np.random.default_rng(6)
    began = slot.candidate.shadow
    slot.lumisection = began.effective_lumisection - 1
    slot.record(old, rng=rng, run=began.effective_run)
    before = slot.observing.standing()
    slot.record(new, rng=rng, run=began.effective_run)
    seen = slot.observing.observed(slot.candidate, slot.world.now).comparison

    assert (seen.lumisections, seen.mismatches) == (1, 0)
    assert slot.observing.standing() == seen
    assert before is None
    assert slot.candidate.phase is Phase.SHADOW


def test_a_board_that_gives_nothing_never_passes_and_goes_back_when_time_is_over(slot, library, threshold):
    board, rng = BoardDouble(library, threshold), np.random.default_rng(7)
    board.answer = lambda columns, _out: BoardDouble(library, threshold).answer(columns, ())  # read out, and empty
    slot.record(board, rng=rng)
    seen = slot.observing.observed(slot.candidate, slot.world.now).comparison
    slot.world.now += timedelta(hours=slot.policy.watch_hours)
    slot.candidates.step(slot.world.now)

    assert (seen.events, seen.unreadable) == (0, EVENTS)
    (tripped,) = slot.facts(GuardTripped)
    assert tripped.guard == "doubt"
    assert slot.candidate.phase is Phase.ROLLED_BACK


def test_a_file_of_many_wrong_lumisections_is_told_once_for_its_run(slot, library, threshold):
    board, rng = BoardDouble(library, threshold, flipped=50), np.random.default_rng(7)
    chosen = {number: rng.choice(len(slot.passing), EVENTS) for number in (1, 2, 3)}
    replayed = {number: replay(slot.pool, events, RUN, number) for number, events in chosen.items()}
    contents = slot.reader.read(board.write(slot.folder / "incoming", RUN, replayed)).contents
    owed = []
    for events in contents.lumisections:
        differs = slot.observing.take(events, None, slot.world.now, owed)
        owed += [] if differs is None else [differs]

    assert [(one.run, one.lumisection) for one in owed] == [(RUN, 1)]
    assert slot.observing.standing().lumisections == 3
