"""What can go wrong in the daemon, one class per remedy.

Every message says what was found, what was expected, which thing is meant and what to do.  Callers catch
`RetriggerError` at the border (command line, page, loop) and show its text as it is.
"""

from collections.abc import Mapping


class RetriggerError(Exception):
    """Base of every error the daemon raises on purpose."""


class FactError(RetriggerError):
    """A fact cannot be written or read as canonical JSON."""


class PolicyError(RetriggerError):
    """The policy file is wrong; nothing may be proposed under it."""


class RefusedError(RetriggerError):
    """A person asked for something the rules do not allow now; the text says which rule and what to do."""


class StalePageError(RefusedError):
    """The page or command speaks of a request that is no longer the open one (HTTP 412)."""


class LedgerError(RetriggerError):
    """The ledger cannot be opened, read or written."""


class StaleSequenceError(LedgerError):
    """Somebody appended to this subject since the caller read it; read again and decide again."""


class NewerSchemaError(LedgerError):
    """The ledger was written by a newer retrigger; this one must not touch it."""


class LeadershipTakenError(LedgerError):
    """Another daemon leads on this ledger."""


class LeaseLostError(LedgerError):
    """The lease of a piece of work ran out and somebody else claimed it."""


class PeopleError(RetriggerError):
    """An account cannot be made or changed as asked."""


class LoginRefusedError(PeopleError):
    """Name or password is wrong, or the account is closed; which of them is never said."""


class LockedOutError(LoginRefusedError):
    """Too many wrong passwords; the account waits."""


class DeployError(RetriggerError):
    """The target could not be brought to, or read back as, the wanted digest."""


class ServerError(RetriggerError):
    """A retrigger elsewhere cannot be reached, or what answers there is none; the text says what to do."""


class FencedError(DeployError):
    """A newer daemon has written to this target; this one has lost its lead and must stop."""


class UntrustedError(DeployError):
    """What a target shows must not be believed; `alarm` is one word for what was seen, the text is for people."""

    def __init__(self, alarm: str, text: str) -> None:
        super().__init__(f"{text} [{alarm}]")
        self.alarm = alarm


class MixedBoardsError(DeployError):
    """The boards of one slot do not run one digest; `boards` says what each runs, empty where it cannot be read."""

    def __init__(self, boards: Mapping[str, str], text: str) -> None:
        super().__init__(text)
        self.boards = dict(boards)


class ConfigurationError(RetriggerError):
    """The configuration file is wrong; the message lists every problem of it."""


class JobError(RetriggerError):
    """A training job cannot be written or started as asked."""


class SetupError(RetriggerError):
    """Something that must exist before the daemon runs does not; the message names the verb that makes it."""


class UnfinishedError(RetriggerError):
    """The daemon was told to return when done, and its last turn failed; run it again once the cause is gone."""


class DeliveryError(RetriggerError):
    """A message to people was not taken.

    Attributes:
        unsure: Whether it may have arrived all the same.
        after_s: How long the far side asked to be left alone; None when it did not say.
    """

    def __init__(self, text: str, *, unsure: bool, after_s: float | None = None) -> None:
        super().__init__(text)
        self.unsure = unsure
        self.after_s = after_s


class VerdictError(RetriggerError):
    """A check ran and its verdict is bad (exit status 1, where wrong use is 2)."""

    exit_status = 1


class ReportError(VerdictError):
    """The report of a fill is gone or was altered."""


class ExplanationError(VerdictError):
    """The explanation of an alarm was never kept, is gone, or is not the one that the record names."""


class RecordKeyError(RetriggerError):
    """A key of the daemon, or a file of public keys, cannot be used."""


class SignatureRefusedError(RetriggerError):
    """Something signed is malformed, or its signature does not hold; the text goes on after a name."""


class ExportFailedError(RetriggerError):
    """The record did not reach a place outside the host; it is sent again."""


class ProvenanceError(RetriggerError):
    """The signed statement of where a bundle came from is missing, or says something else than the bundle."""


class EvidenceError(RetriggerError):
    """An archive of a bundle's evidence cannot be made as asked."""
