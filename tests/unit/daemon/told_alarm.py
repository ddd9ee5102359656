"""An alarm that a real watch told of a dead region, with its explanation; for tests of what is kept and shown."""

import json
from functools import cache

from daemon import explanations
from daemon.lifecycle import facts as f
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from drift.watch import Alarm, Watch
from tests.unit.daemon.page_world import NOON, STREAM
from tests.unit.drift import conftest as toy

NAME = f"{STREAM}:1002:8:broken_detector"


@cache
def dead_region() -> Alarm:
    reference = Reference.fit(toy.fills(11, 4, 30, 300), AXOL1TL_57)
    watch = Watch(reference, false_alarms_per_lumisection=9e-6, stream=STREAM)
    pairs = toy.fills(22, 2, 40, 300, fault=toy.dead_box(keep=0.05), from_lumisection=45)
    return next(told for pair in pairs if (told := watch.take(*pair).alarm) is not None)


def told_document():
    return json.loads(explanations.encoded(explanations.document(dead_region())))


def raise_alarm(world, told, name=NAME):
    """Keep an explanation in this world and append the facts that name it."""
    sha256 = explanations.keep(world.folder / "explanations", name, told)
    body = {**told["alarm"], explanations.KEY: sha256}
    common = {"at": NOON, "actor": "daemon", "stream": STREAM, "alarm_id": name, "alarm": body}
    onset = {"onset_run": body["onset"]["run"], "onset_lumisection": body["onset"]["lumisection"]}
    world.ledger.append(STREAM, [f.AlarmRaised(**common), f.FaultOpened(**common, **onset)])
