"""What the boards themselves say they run, beside what was delivered for them.

A package that lies in a registry is not yet on a board: the site's tools put it there, and the firmware shows the
digest of its bundle in registers.  Delivered and shown must be one digest, or it is an error that names each board.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from daemon.deploy import DeployTarget, renew, well_formed
from daemon.errors import DeployError, MixedBoardsError
from daemon.targets.conversation import ask

NOTHING = "0" * 64


class Witness(Protocol):
    """Says what one board runs, from the board itself."""

    def digest(self) -> str:
        """Return the digest the board shows, empty when it shows none; raises DeployError when it does not answer."""


class IpbusRegisters:
    """Eight registers of 32 bits with the digest, read over IPbus by uHAL in a process of its own."""

    def __init__(self, uri: str, address_table: Path, *, node: str = "bundle_digest", timeout_s: float = 5.0) -> None:
        """Name the registers.

        Args:
            uri: As uHAL takes it, e.g. ``ipbusudp-2.0://192.168.200.16:50001``.
            address_table: The board's address table, XML.
            node: Of the first of the eight registers, a block of that size.
            timeout_s: How long the board may take to answer.
        """
        self._uri, self._table, self._node, self._seconds = uri, address_table, node, timeout_s

    def digest(self) -> str:
        """See `Witness.digest`."""
        asked = {"uri": self._uri, "address_table": str(self._table), "node": self._node}
        question = json.dumps({**asked, "timeout_ms": int(self._seconds * 1000)}).encode()
        argv = (sys.executable, "-m", "daemon.targets.ipbus_child")
        answer = ask(argv, question, seconds=self._seconds + 10.0)
        if answer.status != 0:
            last = answer.err.splitlines()[-1] if answer.err else f"uHAL ended with {answer.status}"
            raise DeployError(f"the board at {self._uri} does not show its digest: {last}; see its power and network")
        digest = str(json.loads(answer.out)["digest"])
        well_formed(digest)
        return "" if digest == NOTHING else digest


class WitnessedTarget:
    """A target whose boards are asked too; see `daemon.deploy.DeployTarget` for the contract."""

    def __init__(self, target: DeployTarget, witnesses: Mapping[str, Witness]) -> None:
        """Take where packages are delivered, and every board that takes them from there, by name."""
        self._target, self._witnesses = target, dict(witnesses)

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._target.name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`; the boards follow when the site's tools have programmed them."""
        self._target.deploy(digest, bundle, token=token)

    def read_back(self) -> str:
        """See `DeployTarget.read_back`.

        Raises:
            MixedBoardsError: A board shows another digest than the one that was delivered.
            DeployError: A board does not answer.
        """
        delivered = self._target.read_back()
        shown = {board: witness.digest() for board, witness in self._witnesses.items()}
        if any(digest != delivered for digest in shown.values()):
            told = ", ".join(f"{board} shows {digest[:16] or 'no digest'}" for board, digest in shown.items())
            raise MixedBoardsError(
                shown,
                f"{self.name}: {delivered[:16] or 'nothing'} was delivered, {told}; see that boards were programmed",
            )
        return delivered

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`; always allowed, whatever the boards show."""
        return self._target.roll_back(digest, token=token)

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        return self._target.way_back()

    def renew(self, *, token: int) -> bool:
        """See `daemon.deploy.Renewable.renew`."""
        return renew(self._target, token=token)
