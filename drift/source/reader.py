"""Reads files without being hurt by them: a child reads, this side only looks at its answer."""

import atexit
import shutil
import tempfile
import threading
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from drift.errors import SandboxError
from drift.schema import FeatureSchema, schema_named
from drift.source import spool
from drift.source.lines import DeadChildError, LineChild, SilentChildError
from drift.source.outcome import Accepted, Limits, Outcome, Quarantined, Waiting

GRACE_S = 10.0
"""How much longer than the wall limit the child may take to say that the limit was reached."""
ADVICE = "fetch it again from its source, and look at the writer when that does not help"


class Reader:
    """Reads files under one schema.  Safe to use from several threads; one file is read at a time."""

    def __init__(
        self,
        schema: FeatureSchema,
        limits: Limits | None = None,
        *,
        require_sidecar: bool = False,
        board: str = "",
    ) -> None:
        """Start nothing yet; `board` is the collection with the board's own output, empty when it is not read."""
        if schema_named(schema.name).digest != schema.digest:
            raise SandboxError(f"schema {schema.name} differs from the declared one; declare it in drift.schema")
        self._schema = schema
        self._limits = limits if limits is not None else Limits()
        self._require_sidecar, self._board = require_sidecar, board
        self._folder = Path(tempfile.mkdtemp(prefix="retrigger-read-"))
        self._child = LineChild("drift.source.child", [str(self._folder)], self._folder / "child.log")
        self._lock = threading.Lock()
        self._numbers = count(1)

    @property
    def starts(self) -> int:
        """How often a child was started; more than one means that one died."""
        return self._child.starts

    @property
    def child_pid(self) -> int | None:
        """Process id of the running child."""
        return self._child.pid

    def read(self, path: Path) -> Outcome:
        """Return what a file is worth.  A reader that died is tried once more: the machine may have been at fault.

        Raises:
            SandboxError: No child can be started or write its answer; this says nothing about the file.
        """
        with self._lock:
            outcome = self._read(path.absolute())
            if isinstance(outcome, Quarantined) and outcome.code == "reader_crashed":
                outcome = self._read(path.absolute())
            return outcome

    def _read(self, path: Path) -> Outcome:
        limits = self._limits
        request = {
            "id": next(self._numbers),
            "path": str(path),
            "schema": self._schema.name,
            "memory_mib": limits.memory_mib,
            "cpu_s": limits.cpu_s,
            "wall_s": limits.wall_s,
            "events": limits.events,
            "require_sidecar": self._require_sidecar,
            "board": self._board,
        }
        try:
            self._child.start()
            answer = self._child.ask(request, limits.wall_s + GRACE_S)
        except SilentChildError:
            return Quarantined("wall_limit", f"{path.name} was not read within {limits.wall_s:g} s; {ADVICE}")
        except DeadChildError as error:
            return Quarantined("reader_crashed", f"{path.name} ended the reading process ({error}); {ADVICE}")
        if answer["id"] != request["id"]:
            self._child.stop()
            return Quarantined("reader_crashed", f"{path.name} confused the reading process; {ADVICE}")
        try:
            return self._outcome(path, answer)
        finally:
            (self._folder / spool.ARRAYS).unlink(missing_ok=True)

    def _outcome(self, path: Path, answer: dict[str, Any]) -> Outcome:
        if answer["outcome"] == "waiting":
            return Waiting(answer["reason"])
        if answer["outcome"] == "quarantined":
            reason = answer.get("reason", f"{path.name} {answer.get('found')}; expected a whole, sound file: {ADVICE}")
            return Quarantined(answer["code"], reason if path.name in reason else f"{path.name}: {reason}; {ADVICE}")
        if answer["outcome"] == "broken":
            raise SandboxError(f"the reading child {answer['found']}; make room, then read {path.name} again")
        return Accepted(spool.read(answer, self._folder, path))

    def close(self) -> None:
        """End the child and remove its folder."""
        with self._lock:
            self._child.stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@cache
def _shared_reader(schema_name: str, limits: Limits) -> Reader:
    reader = Reader(schema_named(schema_name), limits)
    atexit.register(reader.close)
    return reader


def read_file(path: Path, schema: FeatureSchema, limits: Limits | None = None) -> Outcome:
    """Return what a file is worth, read by a child that this process keeps for the purpose.

    Returns:
        `Accepted` with the contents, `Waiting` when the file is not whole yet, or `Quarantined` with code and reason.

    Raises:
        SandboxError: No child can be started; this says nothing about the file.
    """
    return _shared_reader(schema.name, limits if limits is not None else Limits()).read(path)
