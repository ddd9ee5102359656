"""What an approver has to see of one candidate, in the order in which it matters.

Taken from the facts, from the bundle after every byte of it was checked, and from what is seen of the world.  What
speaks against the candidate comes first and is never folded away.  Nothing here decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.decisions import code_of, missing_roles, role_for
from daemon.drills import made_bad
from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, GateOutcome, Phase, Policy, World
from daemon.lifecycle import facts as f
from daemon.lifecycle.binding import changes
from daemon.people import Person
from daemon.shelf import bundle_path
from daemon.web.board_words import Rows, safety, watched
from daemon.web.words import ROLES, listed
from retrain import bundle as bundles
from retrain.adopted import Adopted
from retrain.champion import load as load_champion
from retrain.errors import BundleAlteredError

Row = tuple[str, Any, Any]
HARDWARE = frozenset({"contract", "bit_exact", "accumulator_bound", "resources", "latency"})
PROVENANCE = frozenset({"data_certified", "reproducibility"})


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """One candidate as an approver sees it.

    Attributes:
        candidate: From its facts.
        against: What speaks against it or cannot be seen; sentences.
        blocks: Whether any of that stands in the way, and is no mere remark.
        limits: What was not shown, whatever passed; sentences.
        code: To be typed for an approval; empty without an open request.
        missing: Roles that are still needed.
        your_role: The role in which this person could approve; empty if none.
        alarm: The alarm that asked for it, in its public form; None if it was not drift.
        alarm_id: Its name; empty if it was not drift.
        gates: Grouped under ``physics``, ``hardware`` and ``provenance``.
        evidence: Of each gate, by its number.
        changed: What differs from the running model: (what, running, candidate).
        bundle: The whole bundle, or None if it is not there or was altered.
        window: When the board could be written.
        running: What runs now, by read-back; None if it cannot be read.
        watched: What shadow or probation has shown so far.
        safety: How one gets back.
        drill: What this person should have seen in a drill; empty for a real one, and until they answered.
    """

    candidate: Candidate
    against: tuple[str, ...]
    blocks: bool
    limits: tuple[str, ...]
    code: str
    missing: tuple[str, ...]
    your_role: str
    alarm: Mapping[str, Any] | None
    alarm_id: str
    gates: Mapping[str, tuple[GateOutcome, ...]]
    evidence: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    changed: tuple[Row, ...] = ()
    bundle: bundles.Bundle | None = None
    window: str = ""
    running: str | None = None
    watched: Rows = ()
    safety: Rows = ()
    drill: str = ""


def dossier(
    ledger: Ledger, candidate: Candidate, world: World, policy: Policy, person: Person, stream: str, now: datetime
) -> Dossier:
    """Return what this person should see of the candidate now."""
    bundle, problem = _whole(candidate)
    gates = candidate.gates.gates if candidate.gates else ()
    against = [
        f"Gate {gate.number}, {gate.name.replace('_', ' ')}, is {gate.verdict}: {gate.summary}"
        for gate in gates
        if gate.verdict != "pass"
    ]
    if candidate.gates is not None and not gates:
        against.append("No gate was run, and an empty list never passes.")
    if not candidate.terminal and candidate.phase not in {Phase.LIVE, Phase.LIVE_PROBATION}:  # no question about these
        against += _not_as_proposed(candidate, world, policy, problem)
    against += [
        f"{one.person} waived gate {one.gate.replace('_', ' ')} until {one.expires_at:%d %b %H:%M} UTC: {one.reason}"
        for one in candidate.waivers
    ]
    against += [f"{one.person} broke the glass: {one.reason}" for one in candidate.glass]
    if candidate.review_owed:
        against.append("Why the glass was broken is not reviewed yet.")
    against += [f"In its record: {oddity}." for oddity in candidate.oddities]
    against += [f"A detector fault is open: {one}. Nothing is deployed meanwhile." for one in world.open_faults]
    blocks = bool(against)
    asking = _alarm(ledger, candidate, stream)
    alarm = asking.alarm if asking else None
    if alarm:
        against += [f"On the alarm: {sentence}" for sentence in _sentences(alarm.get("against"))]
    return Dossier(
        candidate=candidate,
        against=tuple(against),
        blocks=blocks,
        limits=_limits(bundle),
        code=code_of(candidate),
        missing=missing_roles(candidate) if candidate.phase is Phase.PENDING_APPROVAL else (),
        your_role=_your_role(candidate, person),
        alarm=alarm,
        alarm_id=asking.alarm_id if asking else "",
        gates=_grouped(gates),
        evidence={gate.number: gate.evidence for gate in bundle.gates} if bundle else {},
        changed=_differences(ledger, bundle, world.running),
        bundle=bundle,
        window=_window(world, policy, now),
        running=world.running,
        watched=watched(candidate, world, policy, now),
        safety=safety(ledger, candidate, world, now),
        drill=made_bad(ledger, candidate.id) if revealed(candidate, person.name) else "",
    )


def revealed(candidate: Candidate, person: str) -> bool:
    """Return whether a person may know by now that a candidate is a drill: they answered it, or nobody can any more."""
    return candidate.drill and (candidate.terminal or person in candidate.speakers)


def _whole(candidate: Candidate) -> tuple[bundles.Bundle | None, str]:
    if candidate.build is None:
        return None, ""
    try:
        return bundles.load(Path(candidate.bundle_path), candidate.bundle_digest), ""
    except BundleAlteredError as error:
        return None, str(error)


def _not_as_proposed(candidate: Candidate, world: World, policy: Policy, problem: str) -> list[str]:
    if candidate.gates is None:
        return [f"The bundle is not whole: {problem}"] if problem else []
    on_board = candidate.bundle_digest if candidate.phase is Phase.SHADOW else ""
    seen = changes(candidate, world, policy, also_running=on_board)
    said = [f"Changed since its gates ran: {what}." for what in seen.changed]
    return said + [f"Cannot be seen now: {what}. Approval waits until it can." for what in seen.unseen]


def _your_role(candidate: Candidate, person: Person) -> str:
    open_to_them = candidate.phase is Phase.PENDING_APPROVAL and person.name != candidate.initiator
    already = any(approval.person == person.name for approval in candidate.approvals)
    return role_for(candidate, person.roles) if open_to_them and not already else ""


def _alarm(ledger: Ledger, candidate: Candidate, stream: str) -> f.AlarmRaised | None:
    """Return the last real shift before a candidate that drift asked for."""
    if candidate.trigger != "drift":
        return None
    before = [
        stored.fact
        for stored in ledger.facts(subject=stream, kind="alarm_raised")
        if isinstance(stored.fact, f.AlarmRaised) and stored.fact.at <= candidate.requested_at
    ]
    shifts = [fact for fact in before if fact.alarm.get("verdict") == "real_shift"]
    return shifts[-1] if shifts else None


def _sentences(value: Any) -> list[str]:
    return [value] if isinstance(value, str) and value else [str(one) for one in value or ()]


def _limits(bundle: bundles.Bundle | None) -> tuple[str, ...]:
    general = (
        "Resources are estimates and the clock is not proven unless the figures say that they were placed and routed.",
        "It was compared with the C++ emulator and with simulated RTL, not with the firmware on a board.",
        "The rate is that on zero-bias data; efficiencies are those of the signal samples that the recipe names.",
        "Faults were replayed on the network's own inputs: no object moves up from behind the last one.",
    )
    return general if bundle else ()


def _grouped(gates: tuple[GateOutcome, ...]) -> dict[str, tuple[GateOutcome, ...]]:
    return {
        "physics": tuple(gate for gate in gates if gate.name not in HARDWARE | PROVENANCE),
        "hardware": tuple(gate for gate in gates if gate.name in HARDWARE),
        "provenance": tuple(gate for gate in gates if gate.name in PROVENANCE),
    }


def _differences(ledger: Ledger, bundle: bundles.Bundle | None, running: str | None) -> tuple[Row, ...]:
    if bundle is None or not running:
        return ()
    folder = bundle_path(ledger, running)
    if folder is None:
        return (("bundle", running, bundle.digest),)
    try:
        champion = load_champion(folder, running)
    except BundleAlteredError as error:
        return (("the running bundle cannot be read", str(error), bundle.digest),)
    if isinstance(champion, Adopted):
        return (
            ("what runs", "an adopted emulator library: only its scores can be compared", bundle.digest[:12]),
            ("threshold (integer score)", champion.threshold, bundle.threshold),
            ("offsets, shifts and types", champion.contract.digest[:12], bundle.contract.digest[:12]),
        )
    ours, theirs = bundle.recipe, champion.recipe
    rows: list[Row] = [
        ("weights", champion.manifest["weights_digest"][:12], bundle.manifest["weights_digest"][:12]),
        ("threshold (integer score)", champion.threshold, bundle.threshold),
        ("offsets, shifts and types", champion.contract.digest[:12], bundle.contract.digest[:12]),
        ("hidden layers", theirs.hidden, ours.hidden),
        ("latent size", theirs.latent, ours.latent),
        ("bits of a weight", theirs.weight_bits, ours.weight_bits),
        ("target rate in Hz", theirs.target_rate_hz, ours.target_rate_hz),
        ("seed", theirs.seed, ours.seed),
        ("training lumisections", _count(champion), _count(bundle)),
    ]
    return tuple(rows)


def _count(bundle: bundles.Bundle) -> int:
    return sum(span.last - span.first + 1 for span in bundle.recipe.lumisections)


def _window(world: World, policy: Policy, now: datetime) -> str:
    if world.frozen:
        return f"deployments are frozen by {world.frozen}"
    if window := policy.frozen_by(now):
        return f"frozen until {window.end:%d %b %H:%M} UTC ({window.reason})"
    if world.beam_mode is None:
        return "the beam mode is unknown, so nothing is written"
    if world.beam_mode in policy.deploy_beam_modes:
        return f"open now: beam mode is {world.beam_mode}"
    return f"the next gap between fills; beam mode is {world.beam_mode}"


def quorum_words(candidate: Candidate, missing: tuple[str, ...]) -> str:
    """Return who said yes and who is still needed, as one sentence."""
    said = [f"{one.person} ({ROLES.get(one.role, one.role)})" for one in candidate.approvals]
    needed = [ROLES.get(role, role) for role in missing]
    have = f"{listed(said)} said yes" if said else "nobody has said yes yet"
    return f"{have}; still needed: {listed(needed)}" if needed else have
