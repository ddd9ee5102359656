"""A small experiment with a real ledger, real accounts, a real board folder and real sealed bundles.

Two runs, a detector fault, a real shift, a candidate that waits for two people.  Only the numbers in the bundles'
evidence are made up, so that no test of the page has to train a network.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from daemon.ledger import FileTaken, Ledger, Outcome
from daemon.lifecycle import Act, decide, fold
from daemon.lifecycle import facts as f
from daemon.measured import evidence_root
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight
from daemon.snapshot import LoopView
from daemon.targets.filesystem import FilesystemTarget
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from retrain.contract import axol1tl_contract
from retrain.digest import digest_of, digest_of_bytes
from retrain.recipe import LumisectionRange, Recipe
from retrain.verify import judge
from tests.unit.daemon.told_rates import working_point
from tests.unit.daemon.told_rivals import rivals

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SLOT, STREAM = "L1_AXO", "ZeroBias"
PASSWORD = "correct horse battery"
PUBLIC_URL = "http://127.0.0.1:8080"
PEOPLE = {"mila": ["ml_expert"], "timo": ["trigger_oncall"], "carla": ["coordinator"], "vera": ["viewer"]}
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

BROKEN = {
    "type": "alarm",
    "stream": STREAM,
    "run": 401_002,
    "lumisection": 118,
    "onset": {"run": 401_002, "lumisection": 111},
    "verdict": "broken_detector",
    "log_evidence": 412.7,
    "contributors": [
        {"region": "Jet eta -3.0 to -1.3, phi -1.6 to -0.9", "object": "Jet", "log_evidence": 388.2},
        {"feature": "MET_pt", "object": "MET", "log_evidence": 24.5},
    ],
    "box": {"object": "Jet", "eta": [-3.0, -1.3], "phi": [-1.57, -0.87]},
    "action": "call the HCAL detector on-call; do not retrain",
    "text": "Jets are missing in eta -3.0 to -1.3, phi -1.6 to -0.9 since 401002:111: broken detector, do not retrain.",
}
SHIFT = {
    "type": "alarm",
    "stream": STREAM,
    "run": 401_003,
    "lumisection": 67,
    "onset": {"run": 401_003, "lumisection": 12},
    "verdict": "real_shift",
    "log_evidence": 15.6,
    "contributors": [
        {"feature": "EG1_pt", "object": "EG", "log_evidence": 7.1},
        {"feature": "EG2_pt", "object": "EG", "log_evidence": 5.0},
        {"feature": "Jet1_pt", "object": "Jet", "log_evidence": 2.2},
    ],
    "box": None,
    "action": "retrain candidate",
    "text": "Electron and photon momenta fell by about 4 % at every eta since 401003:12, pileup explained: real shift.",
    "against": ["The fill was 55 lumisections old; later fills may look different."],
}


class SayCertified:
    """A certifier of which a test says what it says."""

    def __init__(self) -> None:
        self.word = "all certified"

    def digest(self, spans):
        return digest_of([self.word, [str(span) for span in spans]])


@dataclass
class PageWorld:
    """Everything, with `now` as a clock that tests move."""

    folder: Path
    ledger: Ledger
    people: People
    target: FilesystemTarget
    certifier: SayCertified
    sight: Sight
    champion: bundles.Bundle
    now: datetime = NOON
    policy: Any = field(default_factory=lambda: replace(load_policy(), required_gates=()))

    @classmethod
    def build(cls, folder: Path) -> "PageWorld":
        ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
        people = People(ledger, QUICK)
        for name, roles in PEOPLE.items():
            people.add_person(name, PASSWORD, roles, by="root", now=NOON - timedelta(days=9))
        target = FilesystemTarget(folder / "board", name="P5 test crate")
        champion = example_bundle(folder / "bundles", seed=1, champion=None)
        target.deploy(champion.digest, champion.path, token=1)
        certifier = SayCertified()
        beam = BeamModeFeed(folder / "beam_mode.jsonl")
        world = cls(
            folder=folder,
            ledger=ledger,
            people=people,
            target=target,
            certifier=certifier,
            sight=Sight(ledger, people, target, certifier, beam, STREAM),
            champion=champion,
        )
        ledger.append(
            SLOT,
            [
                f.ChampionImported(
                    at=NOON - timedelta(days=8),
                    actor="root",
                    slot=SLOT,
                    digest=champion.digest,
                    bundle_path=str(champion.path),
                )
            ],
        )
        return world

    def beam(self, mode: str, fill: int = 9_876) -> None:
        line = {"time": self.now.isoformat(), "fill": fill, "beam_mode": mode}
        (self.folder / "beam_mode.jsonl").write_text(json.dumps(line) + "\n")

    def take_data(self) -> None:
        """Two runs in files of 40 lumisections, a bad file, a fault that was mended, a real shift."""
        for run, first, alarms in (
            (401_002, 1, ()),
            (401_002, 81, (BROKEN,)),
            (401_003, 1, (SHIFT,)),
            (401_003, 81, ()),
        ):
            at = self.now - timedelta(hours=3, minutes=-(run - 401_002) * 60 - first / 4)
            file = _file(f"run{run}_ls{first:04d}.root", at)
            results = {1: "excluded", 2: "excluded"} if first == 1 else {90: "out_of_support"}
            outcomes = [
                Outcome(
                    stream=STREAM,
                    run=run,
                    lumisection=number,
                    result=results.get(number, "watched"),
                    reason="",
                    events=350,
                    fill=9_870 + run - 401_002,
                    pileup=58.0 - number / 20,
                    certified=True,
                    events_path="",
                    events_sha256="",
                    file_sha256=file.sha256,
                )
                for number in range(first, first + 80)
            ]
            facts = [
                (STREAM, f.AlarmRaised(at=at, actor="daemon", stream=STREAM, alarm_id=f"a-{one['run']}", alarm=one))
                for one in alarms
            ]
            self.ledger.take_file(file, outcomes, b"state", facts)
        bad = _file("run401003_ls0161.root", self.now - timedelta(hours=1))
        bad = replace(bad, outcome="quarantined", code="checksum", reason="sha256 differs from its sidecar")
        self.ledger.take_file(bad, [], None, [])
        self.turn_loop()

    def turn_loop(self, **changes: Any) -> LoopView:
        view = LoopView(
            started=self.now - timedelta(days=2),
            last_turn=self.now - timedelta(seconds=4),
            doing="watching ZeroBias",
            stable_beams=True,
            beam_mode="STABLE BEAMS",
            fill=9_876,
            pileup={STREAM: 54.2},
            evidence={STREAM: (2.4, 11.6)},
            owed={STREAM: 3},
            waiting_files={STREAM: 1},
            newest={STREAM: self.now - timedelta(seconds=95)},
            running={SLOT: self.sight.running() or ""},
        )
        view = replace(view, **changes)
        self.ledger.put_status("loop", view.to_json(), self.now)
        return view

    def open_fault(self) -> None:
        fault = f.FaultOpened(
            at=self.now - timedelta(minutes=20),
            actor="daemon",
            stream=STREAM,
            alarm_id="a-401002",
            alarm=BROKEN,
            onset_run=401_002,
            onset_lumisection=111,
        )
        self.ledger.append(STREAM, [fault])

    def propose(self, number: int = 1, **evidence: Any) -> str:
        """Bring a candidate to the open request, by the rules themselves; return its id."""
        made = example_bundle(self.folder / "bundles", seed=100 + number, champion=self.champion, **evidence)
        name = f"c-{number:04d}"
        asked = f.CandidateRequested(
            at=self.now - timedelta(hours=1, minutes=40),
            actor="daemon",
            candidate=name,
            number=number,
            slot=SLOT,
            trigger="drift",
            initiator="daemon",
            recipe_digest=made.recipe.digest,
            recipe=made.recipe.to_json(),
            reason="real shift since 401003:12; retrain on what came after",
        )
        certified = self.certifier.digest(made.recipe.lumisections)
        built = f.TrainingFinished(
            at=self.now - timedelta(minutes=45),
            actor="daemon",
            recipe_digest=made.recipe.digest,
            bundle_digest=made.digest,
            bundle_path=str(made.path),
            certification_digest=certified,
        )
        gates = tuple(
            f.GateOutcome(number=one.number, name=one.name, verdict=one.verdict, summary=one.summary)
            for one in made.gates
        )
        judged = f.GatesEvaluated(
            at=self.now - timedelta(minutes=44),
            actor="daemon",
            bundle_digest=made.digest,
            gates=gates,
            evidence_root=evidence_root(made, self.champion.digest),
            tier="T1",
            running_digest=self.champion.digest,
            certification_digest=certified,
        )
        self.ledger.append(name, [asked, built, judged])
        self.step(name, self.now - timedelta(minutes=43))
        return name

    def step(self, name: str, now: datetime | None = None) -> Any:
        """Decide once for a candidate, as the loop does, and append what follows."""
        candidate = fold(one.fact for one in self.ledger.facts(subject=name))
        at = now or self.now
        decision = decide(candidate, self.sight.world(candidate, self.sight.candidates(), at), self.policy, at)
        if isinstance(decision, Act):
            self.ledger.append(name, decision.facts)
        return decision

    def candidate(self, name: str):
        return fold(one.fact for one in self.ledger.facts(subject=name))


def example_bundle(
    out: Path, *, seed: int, champion: bundles.Bundle | None, mismatches: int = 0, **real: Any
) -> bundles.Bundle:
    """Seal a bundle in the form that `retrain` gives it; `library`, `threshold` and `strata` where a board runs it."""
    staging = out / f".staging-{seed}"
    (staging / "emulator").mkdir(parents=True)
    recipe = Recipe(
        slot=SLOT,
        lumisections=(LumisectionRange(401_003, 12, 80), LumisectionRange(401_003, 81, 160)),
        champion=champion.digest if champion else None,
        seed=seed,
    )
    contract = axol1tl_contract()
    bundles.write_json(staging / "recipe.json", recipe.to_json())
    bundles.write_json(staging / "contract.json", contract.to_json())
    (staging / bundles.WEIGHTS).write_bytes(f"weights of seed {seed}".encode())
    library = real["library"].read_bytes() if "library" in real else f"library of seed {seed}".encode()
    (staging / bundles.EMULATOR).write_bytes(library)
    (staging / bundles.PLAIN).write_bytes(f"graph of seed {seed}".encode())
    (staging / "emulator" / "emulator.cpp").write_text(f"// emulator of seed {seed}\n")
    files = bundles.file_digests(staging)
    threshold = real.get("threshold", 3_541 + seed)
    point = working_point(threshold, recipe, champion)
    point |= {"strata": real["strata"]} if "strata" in real else {}
    evidence: dict[str, dict[str, Any]] = {
        "dataset": {
            "lumisections": 149,
            "events": 52_150,
            "certified": 149,
            "rejected": [],
            "unspoken": [],
            "digest": digest_of(["data", seed]),
            "training": {"ranges": ["401003:12-80", "401003:101-160"], "events": 45_150},
            "held_out": {"ranges": ["401003:81-100"], "events": 7_000},
            "excluded": {"401002:109": "detector fault a-401002", "401002:110": "detector fault a-401002"},
        },
        "preflight": {"findings": [], "contract_digest": contract.digest, "events": 20_000, "derived": False},
        "proof": _proof(files, contract.digest, mismatches),
        "resources": {"lut": 31_240, "ff": 9_870, "dsp": 0, "stages": 9, "latency_ticks": 2, "status": "estimate"},
        "working_point": point,
        **rivals(recipe, champion),
        "training": {"first_epoch": "ab12", "first_epoch_again": "ab12", "graph_again": True, "seed": seed},
        "versions": {"retrigger": "0.1.0", "torch": "2.13.0", "brevitas": "0.13.4", "hls4ml": "1.3.0"},
    }
    gates = judge({**evidence, "budget": vars(contract.budget)})
    for name, value in {**evidence, "gates": {"gates": [gate.to_json() for gate in gates]}}.items():
        bundles.write_json(staging / "evidence" / f"{name}.json", value)
    limits = {
        "threshold": threshold,
        "weights_digest": files[bundles.WEIGHTS],
        "contract_digest": contract.digest,
    }
    bundles.write_json(staging / bundles.THRESHOLD, limits)
    bundles.write_json(staging / bundles.METADATA, _metadata(files, contract.digest, threshold))
    identity = {
        "slot": SLOT,
        "model": recipe.model,
        "recipe_digest": recipe.digest,
        "contract_digest": contract.digest,
        "threshold": threshold,
    }
    return bundles.seal(staging, out, identity)


def _proof(files: dict[str, str], contract: str, mismatches: int) -> dict[str, Any]:
    return {
        "engines": ["pytorch", "qonnx", "integer", "onnx", "cpp", "rtl"],
        "vectors": 120_000,
        "classes": {"recorded": 60_000, "random": 40_000, "corner": 20_000},
        "mismatching_vectors": {"qonnx": 0, "cpp": mismatches},
        "mismatching_total": mismatches,
        "structure": [],
        "rails": {},
        "first_difference": {"engine": "cpp", "vector": 7, "layer": "hidden 1"} if mismatches else None,
        "accumulators": {"worst_case": 181_240, "exact_in_float32": True, "too_narrow": []},
        "weights_digest": files[bundles.WEIGHTS],
        "plain_digest": files[bundles.PLAIN],
        "contract_digest": contract,
        "emulator_digest": files[bundles.EMULATOR],
        "sources_digest": bundles.sources_digest(files),
    }


def _metadata(files: dict[str, str], contract: str, threshold: int) -> dict[str, Any]:
    digests = {
        "weights": files[bundles.WEIGHTS],
        "contract": contract,
        "sources": bundles.sources_digest(files),
        "library": files[bundles.EMULATOR],
        "onnx": files[bundles.PLAIN],
    }
    return {"digests": digests, "threshold": {"integer": threshold}}


def _file(name: str, at: datetime) -> FileTaken:
    return FileTaken(
        path=f"/incoming/{name}",
        sha256=digest_of_bytes(name.encode()),
        bytes=1_400_000,
        stream=STREAM,
        outcome="accepted",
        at=at,
    )
