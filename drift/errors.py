"""What can go wrong on the way from a run file to a verdict; every message says what was found and what to do."""


class DriftError(Exception):
    """Base of every error that `drift` raises on purpose."""


class SchemaError(DriftError):
    """A feature schema contradicts itself or is not known."""


class SourceError(DriftError):
    """A source of run files cannot be reached or listed."""


class SandboxError(DriftError):
    """The reading child cannot be started at all: the installation is broken, not the file."""


class QuarantineError(DriftError):
    """A refused file could not be set aside; it is still where it was."""


class ConditionsError(DriftError):
    """A conditions file or folder cannot be used."""


class SummaryError(DriftError):
    """A lumisection summary is damaged, or two cannot be added."""


class ReferenceUnfitError(DriftError):
    """A reference cannot be fitted, read, or used for these lumisections."""


class StateError(DriftError):
    """A saved watch cannot be restored."""


class SimulationError(DriftError):
    """A simulation was asked for that cannot be made."""


class CountersError(DriftError):
    """A file of seed counts cannot be used."""


class RatesUnfitError(DriftError):
    """Rates cannot be fitted from, or compared with, these counts."""


class RankingError(DriftError):
    """A table of runs cannot be ranked."""


class LibraryError(DriftError, ValueError):
    """A failure mode makes no sense, or two have one name."""
