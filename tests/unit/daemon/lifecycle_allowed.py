"""Whether a write of the board, or the step to bits that trigger, was allowed.

Read from the bare facts and the bare world, apart from `daemon.lifecycle`, which it checks: nothing here asks `fold`,
`quorum` or `decide`.
"""

from datetime import timedelta
from itertools import permutations

from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle import signing

VOIDING = (f.Rejected, f.Revoked, f.Expired, f.Staled, f.Superseded, f.RolledBack, f.TrainingFinished)


def to_write(experiment, candidate):
    """The invariants at the instant of a write of the board."""
    facts = experiment.facts[candidate.id]
    request, after = _request(facts)
    time = experiment.time()
    assert any(isinstance(fact, f.DeploymentStarted) and fact.request_id == request.request_id for fact in after)
    assert not any(isinstance(fact, VOIDING) for fact in after)
    assert not facts[0].drill

    glass = _broken(experiment, candidate, after, request)
    if not glass:
        said = [fact for fact in after if isinstance(fact, f.Approved)]
        assert _fills(experiment, candidate, request, said, request.required_roles, signing.approval)
    assert request.required_roles == experiment.policy.tiers[request.tier].roles

    _gates_hold(experiment, candidate, facts, request)
    assert all(time < one.expires_at for one in candidate.waivers)
    assert candidate.id not in experiment.altered
    assert request.policy_id == experiment.policy.id
    assert request.certification_digest == experiment.certification
    assert request.running_digest == experiment.running
    assert time < request.expires_at <= request.at + timedelta(hours=experiment.policy.tiers[request.tier].ttl_hours)
    assert glass or experiment.beam_mode in experiment.policy.deploy_beam_modes
    _nothing_halts(experiment, candidate)
    if experiment.policy.rehearsal_days:
        assert time - experiment.rehearsed_at <= timedelta(days=experiment.policy.rehearsal_days)


def to_trigger(experiment, candidate, fact):
    """The invariants at the instant in which bits begin to trigger, and in which probation ends."""
    facts = experiment.facts[candidate.id]
    request, after = _request(facts)
    policy = experiment.policy
    assert experiment.running == candidate.bundle_digest == fact.digest
    assert experiment.readable
    shadows = [one for one in after if isinstance(one, b.ShadowStarted)]
    glass = _two(candidate, after, request)
    if isinstance(fact, b.ProbationPassed):
        assert not glass
        deployed = next(one for one in after if isinstance(one, f.Deployed))
        assert experiment.behaviour == "healthy"
        assert _lumisections(experiment, deployed) >= policy.probation_lumisections
    elif shadows:
        assert experiment.behaviour == "healthy" or not policy.shadow_lumisections
        assert _lumisections(experiment, shadows[0]) >= policy.shadow_lumisections
        said = [one for one in after if isinstance(one, b.Confirmed)]
        roles = policy.tiers[request.tier].confirm_roles
        assert not roles or _fills(experiment, candidate, request, said, roles, signing.confirmation)
        assert candidate.id not in experiment.altered
        assert request.policy_id == policy.id
        assert request.certification_digest == experiment.certification
        _gates_hold(experiment, candidate, facts, request)
        _nothing_halts(experiment, candidate)
    else:
        assert glass or not (policy.shadow_lumisections or policy.tiers[request.tier].confirm_roles)


def _request(facts):
    """The last request and every fact from it on."""
    place = max(number for number, fact in enumerate(facts) if isinstance(fact, f.Proposed))
    return facts[place], facts[place:]


def _fills(experiment, candidate, request, said, roles, message):
    """Whether distinct people fill the roles: every assignment is tried."""
    counting = [one for one in said if one.request_id == request.request_id and _counts(experiment, candidate, one)]
    counting = [one for one in counting if _signed(experiment, one, message(*_words(candidate, one)))]
    return any(
        all(one.role == role for one, role in zip(chosen, roles, strict=True))
        and len({one.person for one in chosen}) == len(roles)
        for chosen in permutations(counting, len(roles))
    )


def _counts(experiment, candidate, one):
    return one.person != candidate.initiator and one.role in experiment.people.get(one.person, frozenset())


def _words(candidate, one):
    return candidate.id, one.request_id, one.person, one.role, one.reason


def _signed(experiment, one, message):
    if one.signature is None:
        return experiment.policy.unsigned_approvals
    key = experiment.keys.get(one.signature.key_id)
    return key is not None and key.person == one.person and signing.verifies(key.public, one.signature.value, message)


def _two(candidate, after, request):
    broken = [one for one in after if isinstance(one, b.GlassBroken) and one.request_id == request.request_id]
    return len({one.person for one in broken} - {candidate.initiator}) >= 2


def _broken(experiment, candidate, after, request):
    """Whether two people broke the glass; then both must hold the role now."""
    if not _two(candidate, after, request):
        return False
    broken = [one for one in after if isinstance(one, b.GlassBroken) and one.request_id == request.request_id]
    first_two = {one.person: one for one in reversed(broken) if one.person != candidate.initiator}
    for one in list(first_two.values())[-2:]:
        assert _counts(experiment, candidate, one)
        assert one.role in experiment.policy.glass_roles
        assert _signed(experiment, one, signing.glass(*_words(candidate, one)))
    return True


def _gates_hold(experiment, candidate, facts, request):
    gates = [fact for fact in facts if isinstance(fact, f.GatesEvaluated)][-1]
    build = [fact for fact in facts if isinstance(fact, f.TrainingFinished)][-1]
    assert facts.index(build) < facts.index(gates)
    assert gates.bundle_digest == build.bundle_digest == request.bundle_digest
    assert gates.gates
    for one in gates.gates:
        assert one.verdict != "fail"
        if one.verdict == "inconclusive":
            assert len(_waivers(experiment, candidate, facts[facts.index(gates) :], one.name, gates)) >= 2


def _waivers(experiment, candidate, facts, gate, gates):
    """People whose waiver of this gate counts."""
    given = [one for one in facts if isinstance(one, b.Waived) and one.gate == gate]
    return {
        one.person
        for one in given
        if one.evidence_root == gates.evidence_root
        and one.role in experiment.policy.waiver_roles
        and _counts(experiment, candidate, one)
    }


def _nothing_halts(experiment, candidate):
    assert not experiment.frozen
    assert not experiment.paused
    assert not experiment.faults
    for subject, facts in experiment.facts.items():
        if subject != candidate.id and any(isinstance(fact, b.ReviewOverdue) for fact in facts):
            assert any(isinstance(fact, b.GlassReviewed) for fact in facts)


def _lumisections(experiment, since):
    return (experiment.time() - since.at) // timedelta(seconds=23.31)
