"""Bad candidates that are seeded to be caught: whole bundles whose evidence says something that nobody should sign.

A drill is marked in the record and in its bundle's manifest, and nowhere that an approver looks before they answered.
Its gates stand as the source's, so that only reading shows what is wrong.  It can be approved; it is never armed
(`daemon.lifecycle`), and a bundle that says it is a drill is no bundle to deploy.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from daemon.errors import RefusedError
from daemon.fatigue import Answer, answers
from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, Fact, Phase, Policy
from daemon.lifecycle import facts as f
from daemon.lifecycle.drill_facts import DrillSeeded
from daemon.measured import evidence_root, outcomes
from daemon.people_figures import DRILLS, seeders
from daemon.sight import Sight
from retrain import bundle as bundles
from retrain.errors import BundleAlteredError

Evidence = dict[str, Any]
SUBJECT = DRILLS
OPEN = frozenset({Phase.VERIFYING, Phase.READY, Phase.PENDING_APPROVAL, Phase.APPROVED, Phase.STALE})


@dataclass(frozen=True)
class Kind:
    """One way to be bad: which evidence says so, what is done to it, and what a reader should have seen."""

    evidence: str
    spoil: Callable[[Evidence], Evidence]
    seen: str


def _hot_slice(point: Evidence) -> Evidence:
    strata = [dict(one) for one in point.get("strata") or ()]
    if not strata:
        raise RefusedError("the bundle states no rate by pileup, so that kind of drill has nothing to spoil")
    for name in ("rate_hz", "low_hz", "high_hz"):
        strata[-1][name] = 40.0 * float(strata[-1][name])
    return {**point, "strata": strata}


def _lost_overlap(point: Evidence) -> Evidence:
    against = point.get("against_champion")
    if not against:
        raise RefusedError("the bundle states no comparison with what runs, so that kind of drill has nothing to spoil")
    both = max(int(against["both"]) // 12, 1)
    lost, gained = (
        int(against["lost"]) + int(against["both"]) - both,
        int(against["gained"]) + int(against["both"]) - both,
    )
    overlap = both / (both + lost + gained)
    return {**point, "against_champion": {**against, "both": both, "lost": lost, "gained": gained, "overlap": overlap}}


def _few_vectors(proof: Evidence) -> Evidence:
    return {**proof, "vectors": 12, "classes": {"random": 12}}


def _uncertified(data: Evidence) -> Evidence:
    return {**data, "certified": int(data.get("lumisections", 0)) // 5}


KINDS: Mapping[str, Kind] = {
    "hot-slice": Kind("working_point", _hot_slice, "the rate at the highest pileup is forty times too high"),
    "lost-overlap": Kind("working_point", _lost_overlap, "it shares almost no events with what runs"),
    "few-vectors": Kind("proof", _few_vectors, "only twelve vectors were compared"),
    "uncertified": Kind("dataset", _uncertified, "most of its lumisections are not certified"),
}


def propose(
    ledger: Ledger,
    sight: Sight,
    policy: Policy,
    source: bundles.Bundle,
    kind: str,
    *,
    by: str,
    out: Path,
    now: datetime,
) -> str:
    """Seed a drill made from a whole bundle and return its candidate's id; the loop asks people as for any other.

    Args:
        ledger: Where its facts go.
        sight: Sees board and certification.
        policy: In force.
        source: A bundle that passed its gates.
        kind: One of `KINDS`.
        by: Who seeds it.
        out: Where bundles are kept.
        now: UTC.

    Raises:
        RefusedError: The kind is unknown, a candidate is open already, or the source cannot be spoilt so.
    """
    if kind not in KINDS:
        raise RefusedError(f"there is no drill {kind!r}; choose one of {', '.join(KINDS)}")
    known = sight.candidates()
    waiting = [one.id for one in known if one.slot == source.recipe.slot and one.phase in OPEN]
    if waiting:
        raise RefusedError(f"{waiting[-1]} waits for an answer; a drill comes when nobody is asked anything")
    running, spans = sight.running(), source.recipe.lumisections
    certified = sight.certification(spans)
    if not running or certified is None:
        raise RefusedError("the board or the certification cannot be read now; a drill needs both, try again")
    if why := sight.quarantine(spans):
        raise RefusedError(
            f"{source.digest[:16]} learned what is {why} by now; a drill of it would go stale, not asked"
        )
    number = max((one.number for one in known), default=0) + 1
    name = f"c-{number:04d}"
    made = spoilt(source, KINDS[kind], out)
    trigger, reason = _as_if(ledger, known)
    asked_at, built_at = _paced(known, now)
    asked = f.CandidateRequested(
        at=asked_at,
        actor="daemon",
        candidate=name,
        number=number,
        slot=source.recipe.slot,
        trigger=trigger,
        initiator="daemon",
        recipe_digest=made.recipe.digest,
        recipe=made.recipe.to_json(),
        reason=reason,
        drill=True,
    )
    tier = "T1" if "T1" in policy.tiers else next(iter(policy.tiers))
    seeded = DrillSeeded(at=now, actor=by, candidate=name, made_bad=kind, person=by)
    told = [asked, *_passed(made, tier, running, certified, built_at, now)]
    ledger.append_all([(name, told, 0), (SUBJECT, [seeded], None)])
    return name


def _passed(
    made: bundles.Bundle, tier: str, running: str, certified: str, built_at: datetime, now: datetime
) -> list[Fact]:
    """What the record says of any bundle whose gates passed."""
    gates = outcomes(made, running)
    built = f.TrainingFinished(
        at=built_at,
        actor="daemon",
        recipe_digest=made.recipe.digest,
        bundle_digest=made.digest,
        bundle_path=str(made.path),
        certification_digest=certified,
    )
    judged = f.GatesEvaluated(
        at=now,
        actor="daemon",
        bundle_digest=made.digest,
        gates=gates,
        evidence_root=evidence_root(made, running),
        tier=tier,
        running_digest=running,
        certification_digest=certified,
    )
    return [built, judged]


def spoilt(source: bundles.Bundle, kind: Kind, out: Path) -> bundles.Bundle:
    """Return the source with one piece of its evidence made bad, sealed anew with a drill's mark."""
    staging = out / f".drill-{source.digest[:16]}"
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(source.path, staging)
    (staging / bundles.MANIFEST).unlink()
    bundles.write_json(staging / "evidence" / f"{kind.evidence}.json", kind.spoil(source.evidence(kind.evidence)))
    identity = {
        name: value for name, value in source.manifest.items() if name not in {"format", "files", "weights_digest"}
    }
    try:
        return bundles.seal(staging, out, {**identity, "drill": kind.seen})
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def source_of(candidates: Iterable[Candidate], champion: bundles.Bundle | None) -> bundles.Bundle:
    """Return the newest bundle that passed every gate and is no drill, else the champion's.

    Raises:
        RefusedError: There is none that is whole.
    """
    for one in reversed(list(candidates)):
        passed = one.gates is not None and bool(one.gates.gates) and all(g.verdict == "pass" for g in one.gates.gates)
        if one.drill or not passed:
            continue
        try:
            return bundles.load(Path(one.bundle_path), one.bundle_digest)
        except BundleAlteredError:
            continue
    if champion is None:
        raise RefusedError("no whole bundle that passed its gates is known yet; a drill is made from one")
    return champion


def given_answers(ledger: Ledger) -> list[Answer]:
    """Return every yes and no in the record."""
    subjects = ledger.subjects("candidate_requested")
    facts = [[one.fact for one in ledger.facts(subject=subject)] for subject in subjects]
    return answers(facts, ledger.doors.readings(), seeders(ledger))


def made_bad(ledger: Ledger, candidate: str) -> str:
    """Return what a reader of this drill should have seen; empty if it is none, or of a kind that is no more."""
    for one in ledger.facts(subject=SUBJECT):
        if isinstance(one.fact, DrillSeeded) and one.fact.candidate == candidate and one.fact.made_bad in KINDS:
            return KINDS[one.fact.made_bad].seen
    return ""


def _paced(known: Iterable[Candidate], now: datetime) -> tuple[datetime, datetime]:
    """When a drill is said to have been asked for and built: as long ago as its like took; `DrillSeeded` says when."""
    took, checked = timedelta(minutes=95), timedelta(minutes=4)
    for one in known:
        if not one.drill and one.build is not None and one.gates is not None:
            took, checked = one.build.at - one.requested_at, one.gates.at - one.build.at
    return now - checked - took, now - checked


def _as_if(ledger: Ledger, known: Iterable[Candidate]) -> tuple[f.Trigger, str]:
    """What asked for the last real candidate, in the same words: a drill looks like any other day."""
    real = [one for one in known if not one.drill and one.trigger != "manual"]
    if real:
        last = real[-1].trigger
        trigger: f.Trigger = next((one for one in get_args(f.Trigger) if one == last), "cron")
        return trigger, real[-1].reason
    raised = [one.fact for one in ledger.facts(kind="alarm_raised") if isinstance(one.fact, f.AlarmRaised)]
    shifts = [one for one in raised if one.alarm.get("verdict") == "real_shift"]
    return (
        ("drift", f"{shifts[-1].alarm_id}: {shifts[-1].alarm.get('text', 'real shift')}")
        if shifts
        else ("cron", "it was time by the schedule")
    )
