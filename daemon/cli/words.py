"""What is said about a candidate, in words for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.cli import say
from daemon.cli.desk import Desk, Row


def candidate_rows(found: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield one row a candidate: id, phase, why, bundle, what is open."""
    for one in found:
        still = f"needs {', '.join(one.missing_roles)}" if one.missing_roles else say.one_line(one.closing)
        yield one.id, one.phase, say.one_line(f"{one.trigger}: {one.reason}")[:100], one.bundle[:16], still


def where(desk: Desk) -> str:
    """Return where something was read or said, for a sentence: nothing on this host, so that elsewhere is noticed."""
    return f" at {desk.place}" if desk.place else ""


def report(desk: Desk, story: Mapping[str, Any], *, json: bool) -> None:
    """Say how a candidate stands after a word about it."""
    if json:
        say.machine(story)
    else:
        at = f"  ({desk.place})" if desk.place else ""
        say.words(f"{story['id']} is now {story['phase']}.  {say.one_line(story['next'])}{at}")
