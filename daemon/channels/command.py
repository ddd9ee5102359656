"""A command of the site's own, which gets one JSON object on standard input."""

import json
import subprocess
from collections.abc import Sequence

from daemon.channels.port import as_json
from daemon.errors import DeliveryError
from daemon.lifecycle.announcing import Announcement


class Command:
    """A program and its arguments, run without a shell; the key in what it gets lets it drop a second one."""

    name = "command"

    def __init__(self, argv: Sequence[str], *, timeout_s: float) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s

    def send(self, message: Announcement, *, unsure: bool) -> None:
        """Run it once; exit status 0 means taken."""
        handed = json.dumps(as_json(message, unsure=unsure)) + "\n"
        try:
            done = subprocess.run(
                self._argv, input=handed.encode(), capture_output=True, check=False, timeout=self._timeout_s
            )
        except OSError as error:
            raise DeliveryError(f"{self._argv[0]} cannot be run: {error.strerror or error}", unsure=False) from error
        except subprocess.TimeoutExpired as error:
            raise DeliveryError(f"{self._argv[0]} took longer than {self._timeout_s:g} s", unsure=True) from error
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace").split())[:160]
            raise DeliveryError(f"{self._argv[0]} ended with {done.returncode}: {said}", unsure=True)
