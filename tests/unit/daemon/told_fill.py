"""A folder of the daemon in which a fill with a dead region is over and the next has begun.

The events are toys (`tests.unit.drift.conftest`), everything after them is the real thing.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from daemon import config, fill_trail
from daemon.ledger import FileTaken, Ledger, Outcome
from daemon.lifecycle import facts as f
from drift.watch import Watch
from tests.unit.drift import conftest as toy

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
STREAM, FILL, RUN, ONSET, LENGTH, IN_FILE = "ZeroBias", 7, 1007, 19, 36, 9
ETA, PHI = (-68 * 0.0435, -30 * 0.0435), (108 * 0.0436332 - 6.2831853, 124 * 0.0436332 - 6.2831853)
"""Where jets are lost, in pseudorapidity and radians."""


def build(home, reference):
    """Make the folder; return its settings."""
    (home / "retrigger.toml").write_text("", encoding="utf-8")
    settings = config.load(home / "retrigger.toml")
    reference.save(settings.drift.reference)
    fault = toy.dead_box(keep=0.05)
    pairs = [*toy.fills(22, 1, LENGTH, 300, fault=fault, from_lumisection=ONSET - 1, first=FILL)]
    pairs += toy.fills(23, 1, 2, 300, first=FILL + 1)
    conditions(settings.conditions.folder, [at for _, at in pairs])
    watch = Watch(reference, false_alarms_per_lumisection=9e-6, stream=STREAM)
    with Ledger.open(settings.ledger.url) as ledger:
        for place in range(0, len(pairs), IN_FILE):
            take(settings, ledger, watch, pairs[place : place + IN_FILE], place)
    return settings


def take(settings, ledger, watch, pairs, place):
    """Take some lumisections as one file: trail, outcomes, alarms."""
    file, steps, outcomes, facts = sha256(f"file {place}".encode()).hexdigest(), [], [], []
    for summary, at in pairs:
        decision = watch.take(summary, at)
        steps.append(fill_trail.Step(at.run, at.lumisection, decision.state, decision.log_evidence, summary))
        outcomes.append(outcome(at, file, decision.reason))
        if decision.alarm is not None:
            told = {"stream": STREAM, "alarm_id": f"a-{at.lumisection}", "alarm": decision.alarm.to_json()}
            facts.append((STREAM, f.AlarmRaised(at=NOON, actor="daemon", **told)))
    fill_trail.keep(settings.state / "trail", file, steps)
    when = NOON + timedelta(minutes=place)
    name = f"incoming/run{pairs[0][1].run}_ls{pairs[0][1].lumisection:04d}-{pairs[-1][1].lumisection:04d}.root"
    taken = FileTaken(path=name, sha256=file, bytes=1, stream=STREAM, outcome="accepted", at=when)
    ledger.take_file(taken, outcomes, None, facts)


def outcome(at, file, reason="", result="watched"):
    return Outcome(
        stream=STREAM, run=at.run, lumisection=at.lumisection, result=result, reason=reason, events=300, fill=at.fill,
        pileup=at.pileup, certified=True, events_path="", events_sha256="", file_sha256=file,
    )  # fmt: skip


def conditions(folder, known):
    """Write what the conditions say, in the form of OMS."""
    folder.mkdir(parents=True)
    rows = [
        {
            "id": f"{at.run}_{at.lumisection}",
            "type": "lumisections",
            "attributes": {
                **dict.fromkeys(("beams_stable", "beam_present", "beam2_stable", "beam2_present", "cms_active"), True),
                "physics_flag": True,
                "run_number": at.run,
                "fill_number": at.fill,
                "lumisection_number": at.lumisection,
                "delivered_lumi_per_lumisection": 0.4,
                "recorded_lumi_per_lumisection": 0.392,
                "pileup": round(at.pileup, 3),
                "prescale_index": 1,
                "prescale_name": "2p0E34" if at.lumisection < 24 else "1p6E34",
            },
        }
        for at in known
    ]
    (folder / "oms_lumisections.json").write_text(json.dumps({"data": rows}), encoding="utf-8")
    every = {str(run): [[1, 400]] for run in {at.run for at in known}}
    (folder / "dcs.json").write_text(json.dumps(every), encoding="utf-8")
