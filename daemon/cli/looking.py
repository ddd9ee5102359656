"""Verbs that list and show candidates, here or elsewhere."""

from typing import Annotated

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.desk import Desk, at_a_desk
from daemon.cli.offline import Json
from daemon.cli.words import candidate_rows, where

CandidateId = Annotated[str, typer.Argument(metavar="ID", help="A candidate, such as c-0042.")]


@app.command()
@at_a_desk
def candidates(
    at: Desk,
    *,
    json: Json = False,
) -> None:
    """List every candidate and its phase."""
    found = at.rows()
    if json:
        for one in found:
            say.machine(at.story(one.id))
        return
    if not found:
        say.words(f"No candidate yet{where(at)}.  A real shift, the schedule, or `retrigger train` asks for one.")
        return
    say.table(f"candidates{where(at)}", ["id", "phase", "why", "bundle", "open"], candidate_rows(found))


@app.command()
@at_a_desk
def show(
    at: Desk,
    candidate_id: CandidateId,
    *,
    json: Json = False,
) -> None:
    """Show one candidate: what speaks against it first, then what it rests on, and the code for a word about it."""
    story = at.story(candidate_id)
    if json:
        say.machine(story)
        return
    say.words(f"{story['id']} for {story['slot']}{where(at)}: {story['phase']}.  {say.one_line(story['next'])}")
    for against in story["against"]:
        say.words(f"  AGAINST  {say.one_line(against)}")
    say.words(f"  why      {story['trigger']}: {say.one_line(story['reason'])}")
    for gate in story["gates"]:
        say.words(f"  gate {gate['number']:2d}  {gate['verdict']:12s} {gate['name']}: {say.one_line(gate['summary'])}")
    if story["bundle"]:
        say.words(f"  bundle   {story['bundle']}")
        say.words(f"  runs now {story['running'] or 'nothing readable'}")
    for approval in story["approvals"]:
        say.words(f"  yes      {approval['person']} as {approval['role']}: {say.one_line(approval['reason'])}")
    if story["code"]:
        _what_to_say(story["id"], story["phase"], story["code"])


def _what_to_say(name: str, phase: str, code: str) -> None:
    """Say the code of what was just shown, and the verb that it is for."""
    verbs = {"pending_approval": "approve", "needs_expert": "waive", "shadow": "confirm"}
    verb = verbs.get(phase)
    if verb is None:
        say.words(f"  its code {code}")
        return
    gate = " --gate NAME" if verb == "waive" else ""
    say.words(f'  to {verb}: retrigger {verb} {name} --code {code}{gate} --reason "…" --person you')
