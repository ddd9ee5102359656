"""How the code that reads a file says that it must not be used."""

from drift.errors import DriftError


class RefusedFileError(DriftError):
    """The file breaks a rule; caught by the reading child, which answers with the code and the sentence.

    Attributes:
        code: Short and stable; docs/input.md lists all of them.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NotReadyError(DriftError):
    """The file is not whole yet; looking again later may help."""
