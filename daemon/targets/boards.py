"""The boards of one slot as one target: they run one digest together, or it is an error that names each of them.

There is no instant at which several boards change: a write that is cut off leaves some with the old bits.  That state
is never read as either digest; deploying again, or rolling back, ends it.
"""

from collections.abc import Mapping
from pathlib import Path

from daemon.deploy import DeployTarget, renew, well_formed
from daemon.errors import DeployError, FencedError, MixedBoardsError


class BoardsTarget:
    """Several targets that move as one; see `daemon.deploy.DeployTarget` for the contract."""

    def __init__(self, name: str, boards: Mapping[str, DeployTarget]) -> None:
        """Name the boards; the order is the order of writing."""
        if not boards:
            raise DeployError(f"{name} has no boards; name one at least")
        self._name, self._boards = name, dict(boards)

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`; the first board that fails stops it, and what is mixed then is told."""
        well_formed(digest)
        done: list[str] = []
        for board, target in self._boards.items():
            try:
                target.deploy(digest, bundle, token=token)
            except FencedError:
                raise
            except DeployError as error:
                raise self._cut_off(f"{board} did not take {digest[:16]}: {error}", done) from error
            done.append(board)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`.

        Raises:
            MixedBoardsError: They run different digests.
            DeployError: One of them cannot be read; the text says which.
        """
        seen, silent = self._look()
        if len(set(seen.values())) > 1:
            told = ", ".join(f"{board} runs {digest[:16] or 'nothing'}" for board, digest in seen.items())
            raise MixedBoardsError({**seen, **dict.fromkeys(silent, "")}, f"{self._name} is mixed: {told}; roll back")
        if silent:
            told = "; ".join(f"{board}: {error}" for board, error in silent.items())
            raise DeployError(f"{self._name}: {len(silent)} of {len(self._boards)} boards cannot be read: {told}")
        return next(iter(seen.values()))

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`; boards that were not reached by a cut-off deployment stay as they are.

        Raises:
            MixedBoardsError: The boards would not meet: they replaced different digests.
        """
        well_formed(digest)
        seen, _ = self._look()
        if all(running != digest for running in seen.values()) and len(set(seen.values())) > 1:
            raise MixedBoardsError(seen, f"{self._name} is mixed and no board runs {digest[:16]}; deploy one digest")
        stays = {board: running for board, running in seen.items() if running != digest and digest in seen.values()}
        goals = {board: stays.get(board) or self._goal(target, digest) for board, target in self._boards.items()}
        known = {goal for goal in goals.values() if goal}
        if len(known) > 1:  # told before anything is written
            told = ", ".join(f"{board} to {(goal or 'nothing')[:16]}" for board, goal in goals.items())
            raise MixedBoardsError(seen, f"{self._name}: back would lead to different digests: {told}; deploy one")
        went = {target.roll_back(digest, token=token) for board, target in self._boards.items() if board not in stays}
        return next(iter(went | set(stays.values())))

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`; None unless it is the same for every board."""
        ways = {target.way_back() for target in self._boards.values()}
        return ways.pop() if len(ways) == 1 else None

    def renew(self, *, token: int) -> bool:
        """See `daemon.deploy.Renewable.renew`; every board's turn comes."""
        renewed = [renew(target, token=token) for target in self._boards.values()]
        return any(renewed)

    @staticmethod
    def _goal(target: DeployTarget, digest: str) -> str | None:
        """Where a board would go back to: what it runs, when it is back already."""
        try:
            running = target.read_back()
            return target.way_back() if running == digest else running
        except DeployError:
            return None  # altered bits: its own roll back knows the way

    def _look(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return what each board runs, and why others cannot be read."""
        seen: dict[str, str] = {}
        silent: dict[str, str] = {}
        for board, target in self._boards.items():
            try:
                seen[board] = target.read_back()
            except DeployError as error:
                silent[board] = str(error)
        return seen, silent

    def _cut_off(self, why: str, done: list[str]) -> DeployError:
        seen, silent = self._look()
        if len(set(seen.values())) > 1:
            return MixedBoardsError(
                {**seen, **dict.fromkeys(silent, "")},
                f"{self._name} is mixed: {why}; {', '.join(done) or 'no board'} took it; deploy again or roll back",
            )
        return DeployError(f"{self._name}: {why}")
