"""A program of the site as a target: it is asked in JSON what to put on the board and what is there.

For every call the program reads one JSON object on its standard input and answers one on its standard output.  How it
programs a board is its own affair; that bits sent are bits read back is checked here, with what it answers.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from daemon.deploy import Verify, bundle_digest, well_formed, whole
from daemon.errors import DeployError, FencedError
from daemon.targets.conversation import ask

FORMAT = "retrigger-command/1"
FENCED = 3


class CommandTarget:
    """A program that keeps the contract of `daemon.deploy.DeployTarget`.

    It is asked ``{"format": "retrigger-command/1", "verb": …, "target": …, "digest": …, "bundle": …, "token": …}`` with
    the verbs ``deploy``, ``read_back``, ``roll_back`` and ``way_back``, and answers ``{"digest": …}``: what runs then
    (deploy, read_back), where it went back to (roll_back), where that would lead (way_back); empty text for nothing.
    It ends with 0, with 3 when it has seen a newer token (and then changed nothing), or with anything else and a
    sentence on standard error.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 120.0,
        name: str | None = None,
        verify: Verify = bundle_digest,
    ) -> None:
        """Name the program.

        Args:
            argv: Program and words; no shell reads them.
            timeout_s: How long one call may take.
            name: Of the target, as bound in requests; when None, the program's name.
            verify: Gives the digest of a bundle's folder.
        """
        self._argv, self._seconds, self._verify = tuple(argv), timeout_s, verify
        self._name = name or f"command:{Path(self._argv[0]).name}"

    @property
    def name(self) -> str:
        """Name of the target."""
        return self._name

    def deploy(self, digest: str, bundle: Path, *, token: int) -> None:
        """See `DeployTarget.deploy`."""
        well_formed(digest)
        if self._running_or_nothing() != digest:
            whole(self._verify, bundle, digest)
        found = self._asked("deploy", digest=digest, bundle=str(bundle.resolve()), token=token)
        if found != digest:
            raise DeployError(f"{self._name}: {digest[:16]} was sent and {found[:16] or 'nothing'} runs; roll back")

    def read_back(self) -> str:
        """See `DeployTarget.read_back`."""
        return self._asked("read_back")

    def roll_back(self, digest: str, *, token: int) -> str:
        """See `DeployTarget.roll_back`."""
        well_formed(digest)
        before = self._asked("roll_back", digest=digest, token=token)
        if not before or before == digest:
            raise DeployError(f"{self._name}: nothing was replaced by {digest[:16]}; there is no way back")
        return before

    def way_back(self) -> str | None:
        """See `DeployTarget.way_back`."""
        return self._asked("way_back") or None

    def _running_or_nothing(self) -> str:
        """What runs, as far as the program can say; what it cannot read counts as nothing and is replaced."""
        try:
            return self.read_back()
        except DeployError:
            return ""

    def _asked(self, verb: str, **given: str | int) -> str:
        question = {"format": FORMAT, "verb": verb, "target": self._name, **given}
        answer = ask(self._argv, json.dumps(question).encode(), seconds=self._seconds)
        if answer.status == FENCED:
            raise FencedError(f"{self._name}: {answer.err or 'it has seen a newer token'}; stop this daemon")
        if answer.status != 0:
            raise DeployError(f"{self._name} {verb} ended with {answer.status}: {answer.err or 'it said nothing'}")
        try:
            digest = json.loads(answer.out)["digest"]
            if digest != "":
                well_formed(digest)
        except (ValueError, KeyError, TypeError, DeployError) as error:
            raise DeployError(
                f'{self._name} {verb} answered {answer.out[:100]!r}; expected {{"digest": SHA-256 in hex or ""}}'
            ) from error
        return str(digest)
