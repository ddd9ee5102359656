"""What a person does to a candidate or a fault, from the page or the command line alike.

Each verb reads the candidate's facts, looks at the world (the bundle's bytes included), asks the rules of
`daemon.lifecycle`, and appends one fact with the sequence it read.  If somebody appended meanwhile, all of it is done
again on the new facts.  Who the person is was settled before: by a session, or by the account on the terminal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from daemon.errors import RefusedError, StalePageError, StaleSequenceError
from daemon.ledger import Ledger
from daemon.lifecycle import Candidate, Fact, Phase, Policy, World, fold, open_faults, signing
from daemon.lifecycle import approve as may_approve
from daemon.lifecycle import ask_rollback as may_roll_back
from daemon.lifecycle import facts as f
from daemon.lifecycle import reject as may_reject
from daemon.lifecycle import revoke as may_revoke
from daemon.lifecycle.candidate import ASKED, ON_BOARD
from daemon.lifecycle.codec import digest, plain, time_text
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.quorum import quorum

Signer = Callable[[bytes], Signature]
TRIES = 5


class Looks(Protocol):
    """Sees the world from a candidate's place; `daemon.sight.Sight` is the one that really looks."""

    def candidates(self) -> list[Candidate]:
        """Return every candidate of the ledger, oldest first."""

    def world(self, candidate: Candidate, others: Sequence[Candidate], now: datetime) -> World:
        """Return what is seen now, the bundle's bytes re-hashed."""

    def running(self) -> str | None:
        """Return the digest read back from the board; None when it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One person who says something of one candidate: where it is recorded, what is seen, and which rules hold.

    Attributes:
        ledger: Where the fact goes.
        looks: Sees bundle, evidence, board, certification, people.
        policy: In force now.
        candidate_id: Such as ``c-0042``.
        person: From the session or the terminal's account; never from a form.
        reason: One sentence, for the record.
        now: UTC.
        sign: Makes the person's electronic signature of the bytes it is given; None rests on their session.
    """

    ledger: Ledger
    looks: Looks
    policy: Policy
    candidate_id: str
    person: str
    reason: str
    now: datetime
    sign: Signer | None = None

    def signature(self, message: bytes) -> Signature | None:
        """Return the person's signature of these bytes, None if they gave none."""
        return self.sign(message) if self.sign else None

    def says(self, word: Callable[[Candidate, World], Fact]) -> Candidate:
        """Append what they say, on the facts that they saw, and return the candidate after it.

        Raises:
            RefusedError: There is no such candidate, the word refuses, or others wrote to the record too often.
        """
        name = self.candidate_id
        for _ in range(TRIES):
            stored = self.ledger.facts(subject=name)
            if not stored or not isinstance(stored[0].fact, f.CandidateRequested):
                raise RefusedError(f"there is no candidate {name!r}; `retrigger candidates` lists them")
            candidate = fold(one.fact for one in stored)
            fact = word(candidate, self.looks.world(candidate, self.looks.candidates(), self.now))
            try:
                self.ledger.append(name, (fact,), expect_sequence=stored[-1].sequence)
            except StaleSequenceError:
                continue
            return fold([*(one.fact for one in stored), fact])
        raise _busy(name)


def code_of(candidate: Candidate) -> str:
    """Return the short code that comes with a word about a candidate: it names the candidate and what is seen of it.

    Its last four letters are those of the open request; while a gate is in doubt, of the evidence; on the board, of the
    request in this very phase, so that who confirms what is in shadow has looked at it there.  A code noted down for
    another request, evidence or phase does not fit.  Empty when there is nothing to decide.
    """
    request, phase, seen = candidate.request, candidate.phase, ""
    if phase is Phase.NEEDS_EXPERT and candidate.gates is not None:
        seen = candidate.gates.evidence_root
    elif request is not None and phase in ASKED:
        seen = request.request_id
    elif request is not None and phase in ON_BOARD | {Phase.DEPLOYING}:
        seen = digest([request.request_id, phase, candidate.phase_since])
    return f"{candidate.id}-{seen[:4]}" if seen else ""


def fits(candidate: Candidate, code: str) -> None:
    """Refuse (StalePageError) a code that is not of what is seen of the candidate now."""
    now = code_of(candidate)
    if not now or code.strip().lower() != now.lower():
        raise StalePageError(
            f"the code {code.strip()!r} is not that of {candidate.id} as it is now, {candidate.phase}; look at it "
            f"again and take the code from there: retrigger show {candidate.id}"
        )


def missing_roles(candidate: Candidate) -> tuple[str, ...]:
    """Return the roles that the open request still needs somebody for."""
    if candidate.request is None:
        return ()
    return quorum(candidate.request.required_roles, candidate.approvals, candidate.initiator).missing


def role_for(candidate: Candidate, held: frozenset[str]) -> str:
    """Return the role in which somebody who holds these would approve: the first still missing; empty if none."""
    return next((role for role in missing_roles(candidate) if role in held), "")


def approve(voice: Voice, *, request_id: str, role: str, code: str) -> Candidate:
    """Record one person's yes to one request and return the candidate after it.

    Args:
        voice: Who says it.
        request_id: What the person saw on the page.
        role: In which they approve; empty takes the first missing one that they hold.
        code: What they typed; must be `code_of` the candidate.

    Raises:
        StalePageError: The open request is another one, or none.
        RefusedError: The code is wrong, something the request rests on changed (said what), or the person cannot.
    """
    person = voice.person

    def say(candidate: Candidate, world: World) -> Fact:
        held = world.people.get(person, frozenset())
        as_role = role or role_for(candidate, held) or _any_required(candidate, held)
        message = signing.approval(candidate.id, request_id, person, as_role, voice.reason.strip())
        fact = may_approve(
            candidate,
            world,
            voice.policy,
            request_id=request_id,
            person=person,
            role=as_role,
            reason=voice.reason,
            now=voice.now,
            signature=voice.signature(message),
        )
        if as_role not in missing_roles(candidate):
            raise RefusedError(f"{candidate.id}: somebody already approved as {as_role}; {person} is not needed for it")
        if code.strip().lower() != code_of(candidate).lower():
            raise RefusedError(
                f"the code {code.strip()!r} is not that of the open request of {candidate.id}; look at it again, on "
                f"the page or by `retrigger show {candidate.id}`, and type the code from there"
            )
        return fact

    return voice.says(say)


def reject(voice: Voice, *, request_id: str, role: str, klass: str, code: str) -> Candidate:
    """Record one person's no, which ends the candidate.  See `approve`; `klass` is one of the policy's classes.

    Raises:
        StalePageError: The open request is another one, or none, or the code is of something else.
        RefusedError: The person holds no role that may reject, or class or reason is missing.
    """

    def say(candidate: Candidate, world: World) -> Fact:
        held = world.people.get(voice.person, frozenset())
        as_role = role or next((one for one in voice.policy.reject_roles if one in held), "none")
        fact = may_reject(
            candidate,
            world,
            voice.policy,
            request_id=request_id,
            person=voice.person,
            role=as_role,
            klass=klass,
            reason=voice.reason,
            now=voice.now,
        )
        fits(candidate, code)
        return fact

    return voice.says(say)


def revoke(voice: Voice, *, request_id: str) -> Candidate:
    """Record that an approver takes their approval back, while the board is unwritten.

    Raises:
        StalePageError: The open request is another one, or none.
        RefusedError: They did not approve it, or it is too late.
    """
    said = {"request_id": request_id, "person": voice.person, "reason": voice.reason}
    return voice.says(lambda candidate, world: may_revoke(candidate, world, **said, now=voice.now))


def roll_back(voice: Voice) -> Candidate:
    """Record that a person wants the digest before this candidate to run again; paused or frozen, always allowed.

    Raises:
        RefusedError: The candidate is not on the board, or the person may not.
    """
    said = {"person": voice.person, "reason": voice.reason}
    return voice.says(lambda candidate, world: may_roll_back(candidate, world, voice.policy, **said, now=voice.now))


def close_fault(
    ledger: Ledger,
    policy: Policy,
    *,
    stream: str,
    alarm_id: str,
    person: str,
    roles: frozenset[str],
    reason: str,
    now: datetime,
) -> f.FaultClosed:
    """Record that an alarm is dealt with: a fault mended, a shift answered, or nothing at all.

    The watch then listens anew; retraining is possible again once no fault is open.

    Raises:
        RefusedError: There is no such open fault, the person may not close it, or the reason is missing.
    """
    for _ in range(TRIES):
        stored = ledger.facts(subject=stream)
        if alarm_id not in standing_alarms(one.fact for one in stored):
            raise RefusedError(_not_open(stream, alarm_id, closings(one.fact for one in stored)))
        if not roles & set(policy.reject_roles):
            raise RefusedError(f"{person} cannot close a fault; it takes one of {', '.join(policy.reject_roles)}")
        if not reason.strip():
            raise RefusedError("to close a fault, say in one sentence what it was; it goes into the record")
        until_run, until_lumisection = ledger.latest(stream) or (0, 0)
        fact = f.FaultClosed(
            at=max(now, ledger.clock() or now),
            actor=person,
            stream=stream,
            alarm_id=alarm_id,
            person=person,
            reason=reason.strip(),
            until_run=until_run,
            until_lumisection=until_lumisection,
        )
        try:
            ledger.append(stream, (fact,), expect_sequence=stored[-1].sequence)
        except StaleSequenceError:
            continue
        return fact
    raise _busy(stream)


def standing_alarms(facts: Iterable[Fact]) -> list[str]:
    """Return the ids of the alarms of a stream that nobody closed, oldest first."""
    standing: dict[str, None] = {}
    for fact in facts:
        match fact:
            case f.AlarmRaised(alarm_id=alarm_id) | f.FaultOpened(alarm_id=alarm_id):
                standing.setdefault(alarm_id)
            case f.FaultClosed(alarm_id=alarm_id):
                standing.pop(alarm_id, None)
    return list(standing)


def closings(facts: Iterable[Fact]) -> dict[str, f.FaultClosed]:
    """Return who closed which alarm of a stream, when and why, by the alarm's id."""
    return {fact.alarm_id: fact for fact in facts if isinstance(fact, f.FaultClosed)}


def closing_words(closed: f.FaultClosed) -> str:
    """Return by whom, when and why an alarm was closed."""
    return f"closed by {closed.person} at {closed.at:%Y-%m-%d %H:%M} UTC: {closed.reason}"


def alarms_told(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Return every alarm of a stream in its public form, oldest first: who closed it, whether it is an open fault."""
    standing, closed = set(standing_alarms(facts)), closings(facts)
    faults = {one.alarm_id for one in open_faults(facts)}
    return [
        {
            "type": "alarm",
            "id": one.alarm_id,
            "at": time_text(one.at),
            "standing": one.alarm_id in standing,
            "fault": one.alarm_id in faults,
            "closed": _closed(closed.get(one.alarm_id)),
            "alarm": plain(one.alarm),
        }
        for one in facts
        if isinstance(one, f.AlarmRaised)
    ]


def _closed(by: f.FaultClosed | None) -> dict[str, str] | None:
    return None if by is None else {"by": by.person, "at": by.at.isoformat(), "reason": by.reason}


def _not_open(stream: str, alarm_id: str, closed: Mapping[str, f.FaultClosed]) -> str:
    """Return why an alarm cannot be closed: it is closed already, or it never was."""
    if alarm_id in closed:
        return f"{stream}: alarm {alarm_id} is not open any more, {closing_words(closed[alarm_id])}"
    return f"{stream}: there is no alarm {alarm_id!r}; `retrigger alarms` lists them"


def _any_required(candidate: Candidate, held: frozenset[str]) -> str:
    """The role that the refusal should speak of: one they hold if it is required at all, else the first required."""
    required = candidate.request.required_roles if candidate.request else ("none",)
    return next((role for role in required if role in held), required[0])


def _busy(subject: str) -> RefusedError:
    return RefusedError(f"{subject}: others wrote to the record {TRIES} times while you decided; reload and try again")
