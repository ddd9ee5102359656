"""The API's part about the daemon and its alarms: where it stands, what ran; quiet, stop and go, a wish to train."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from daemon import quieting, switches
from daemon.drills import SUBJECT
from daemon.errors import LoginRefusedError, RefusedError
from daemon.ledger import history_of
from daemon.lifecycle.codec import plain
from daemon.lifecycle.signing import one_form
from daemon.record.asked import by_digest, by_person
from daemon.standing import standing
from daemon.web.answers import KeyHeader, once
from daemon.web.api import PREFIX, TROUBLES, Writer
from daemon.web.bodies import Quiet, Said, Silence, Training
from daemon.web.doors import Visitor
from daemon.web.problems import problem, refusal
from daemon.web.proof import Proof, Word, prove

router = APIRouter(prefix=PREFIX, tags=["daemon"], responses=TROUBLES)
LARGEST = 2**31 - 1  # of a run or lumisection: what the record can hold
OVERSEERS = frozenset({"coordinator", "root"})
Number = Annotated[int | None, Query(ge=1, le=LARGEST)]
Text = Annotated[str, Query(max_length=200)]


@router.get("/status")
def status(visitor: Visitor) -> dict[str, Any]:
    """Say where the daemon stands, as `retrigger status --json` does on its host."""
    office = visitor.office
    return standing(
        office.ledger,
        office.looks,
        stream=office.stream,
        slot=office.slot,
        places=office.places,
        now=visitor.now,
    )


@router.get("/history", response_model=None)
def history(
    visitor: Visitor,
    run: Number = None,
    lumisection: Number = None,
    digest: Text = "",
    person: Text = "",
    slot: Text = "",
) -> Response:
    """Say what ran at a run and lumisection and on whose word, what became of a digest, or what a person did.

    Who seeded a drill is told to coordinators alone, so that nobody looks there before they answer one.
    """
    asked = [run is not None or lumisection is not None, bool(digest), bool(person)]
    if sum(asked) != 1 or (run is None) != (lumisection is None):
        return problem(422, "Ask for one thing", "run with lumisection, or digest, or person")
    ledger = visitor.office.ledger
    if run is not None and lumisection is not None:
        found = history_of(ledger.facts(), run, lumisection, slot or visitor.office.slot)
        outcome = ledger.outcome(visitor.office.stream, run, lumisection)
        return JSONResponse({**plain(found), "stream": visitor.office.stream, "outcome": plain(outcome)})
    stored = [one for one in ledger.facts() if one.subject != SUBJECT or visitor.person.roles & OVERSEERS]
    try:
        told = by_digest(stored, digest) if digest else by_person(stored, person)
    except RefusedError as error:
        return refusal(error)
    return JSONResponse([plain(one) for one in told])


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(alarm_id: str, body: Quiet, visitor: Writer, key: KeyHeader = "") -> Response:
    """Take an alarm on for a shift; it decides nothing, and takes no password."""

    def do() -> Response:
        try:
            said = quieting.acknowledge(visitor.office.ledger, visitor.office.policy, **_about(visitor, alarm_id, body))
        except RefusedError as error:
            return refusal(error)
        return JSONResponse({"alarm": alarm_id, "by": said.person, "at": said.at.isoformat(), "until": None})

    return once(visitor, key, f"acknowledge {alarm_id}", body, do)


@router.post("/alarms/{alarm_id}/silence")
def silence(alarm_id: str, body: Silence, visitor: Writer, key: KeyHeader = "") -> Response:
    """Ask for no messages about an alarm for some hours; it decides nothing, and takes no password."""

    def do() -> Response:
        office = visitor.office
        try:
            said = quieting.silence(office.ledger, office.policy, hours=body.hours, **_about(visitor, alarm_id, body))
        except RefusedError as error:
            return refusal(error)
        told = {"alarm": alarm_id, "by": said.person, "at": said.at.isoformat(), "until": said.until.isoformat()}
        return JSONResponse(told)

    return once(visitor, key, f"silence {alarm_id}", body, do)


@router.post("/training", status_code=202)
def train(body: Training, visitor: Writer, key: KeyHeader = "") -> Response:
    """Ask for a candidate; the running daemon answers in its next turn."""

    def do() -> Response:
        try:
            prove(visitor, Proof(body.password, body.assertion), Word("train", body.action, "", "", body.reason))
            switches.ask_training(
                visitor.office.ledger,
                visitor.office.policy,
                person=visitor.person,
                reason=one_form(body.reason),
                action=body.action,
                now=visitor.now,
            )
        except (RefusedError, LoginRefusedError) as error:
            return refusal(error)
        return JSONResponse({"by": visitor.person.name, "action": body.action}, status_code=202)

    return once(visitor, key, "train", body, do)


@router.post("/daemon/{switch}")
def turn(switch: switches.Switch, body: Said, visitor: Writer, key: KeyHeader = "") -> Response:
    """Stop or continue every forward step (pause, resume), or every write to the board (freeze, unfreeze)."""

    def do() -> Response:
        office = visitor.office
        try:
            prove(visitor, Proof(body.password, body.assertion), Word(switch, "daemon", "", "", body.reason))
            said = switches.switch(
                office.ledger,
                office.policy,
                switch,
                person=visitor.person,
                reason=one_form(body.reason),
                now=visitor.now,
            )
        except (RefusedError, LoginRefusedError) as error:
            return refusal(error)
        return JSONResponse({"said": said.kind, "by": said.actor, "at": said.at.isoformat()})

    return once(visitor, key, switch, body, do)


def _about(visitor: Writer, alarm_id: str, body: Quiet) -> dict[str, Any]:
    said = {"stream": visitor.office.stream, "alarm_id": alarm_id, "person": visitor.person}
    return {**said, "reason": one_form(body.reason), "now": visitor.now}
