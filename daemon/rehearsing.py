"""The way back, walked before it is needed: another digest is put on a crate, and the champion comes back, timed.

On a crate of its own (``[deploy.rehearsal]``) this may be done at any time; on the board itself only between fills,
with a digest that ran there before, and by whoever leads.  However it ends, the champion runs again or it is an error.
Nothing here decides who may ask for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.deploy import DeployTarget
from daemon.errors import DeployError, VerdictError


@dataclass(frozen=True)
class Walk:
    """How one rehearsal went.

    Attributes:
        from_digest: What was put on for it.
        to_digest: What came back, as read back.
        seconds: From the order to go back to the digest read back.
        target: Where it was walked.
    """

    from_digest: str
    to_digest: str
    seconds: float
    target: str


def walk(
    target: DeployTarget,
    champion: tuple[str, Path],
    other: tuple[str, Path],
    *,
    token: int,
    timer: Callable[[], float],
) -> Walk:
    """Put the champion and then another digest on a target, go back, and read back that the champion is there.

    Args:
        target: Where to walk.
        champion: Digest and folder of what runs now: the way back to it is rehearsed.
        other: Digest and folder of what stands for a candidate that fails.
        token: Fencing token of who walks.
        timer: Gives seconds from any beginning, never backwards.

    Raises:
        VerdictError: The way back did not lead to the champion; it was deployed again.
        DeployError: The target could not be written or read.
    """
    home, away = champion[0], other[0]
    if home == away:
        raise DeployError(f"{home[:16]} cannot stand for a candidate that replaces it; name another bundle")
    target.deploy(*champion, token=token)
    try:
        target.deploy(*other, token=token)
        if (found := target.read_back()) != away:
            raise VerdictError(f"{target.name}: {away[:16]} was put on and {found[:16] or 'nothing'} is read back")
        begun = timer()
        target.roll_back(away, token=token)
        found = target.read_back()
        seconds = timer() - begun
    finally:
        target.deploy(*champion, token=token)
    if found != home:
        raise VerdictError(
            f"{target.name}: going back from {away[:16]} led to {found[:16] or 'nothing'}, not to {home[:16]}, which "
            "was deployed again; do not put anything new on the board before this is understood"
        )
    return Walk(away, found, seconds, target.name)
