"""What must hold between any two events of an `Experiment`."""

from daemon.lifecycle import Act, Done, Phase, Wait
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.candidate import IN_FLIGHT, ON_BOARD, OPEN_REQUEST
from daemon.lifecycle.decide import ratchet

PEOPLES = f.Approved | f.Rejected | f.Revoked | b.Waived | b.Confirmed | b.GlassBroken | b.GlassReviewed
FOR_GOOD = {Phase.REJECTED, Phase.REVOKED, Phase.EXPIRED, Phase.FAILED, Phase.AUTO_REJECTED, Phase.ROLLED_BACK}


def candidates_hold(experiment, phases_before):
    """The invariants that hold between any two events."""
    candidates = experiment.candidates()
    assert sum(one.phase in OPEN_REQUEST for one in candidates) <= 1
    assert sum(one.phase in IN_FLIGHT for one in candidates) <= 1
    for one in candidates:
        if phases_before.get(one.id) in FOR_GOOD:
            assert one.phase is phases_before[one.id]
        if one.phase in {Phase.APPROVED, *IN_FLIGHT, Phase.LIVE}:
            assert one.initiator not in one.speakers
        if one.drill:
            assert one.phase not in {*IN_FLIGHT, Phase.LIVE}
        if one.glass_broken:
            assert one.phase is not Phase.LIVE
        decision = experiment.decision(one)
        if isinstance(decision, Wait):
            assert decision.until > ratchet(one, experiment.world(one), experiment.now)
            assert decision.for_what
            back = one.rollback is not None and one.phase in {Phase.DEPLOYING, *ON_BOARD}
            assert not (back and "readable" in decision.for_what)
        elif isinstance(decision, Act):
            assert decision.key.startswith(f"{one.id}:")
            assert decision.why
            assert all(fact.actor == "daemon" for fact in decision.facts)
            assert not any(isinstance(fact, PEOPLES) for fact in decision.facts)
        else:
            assert isinstance(decision, Done)
    return {one.id: one.phase for one in candidates}
