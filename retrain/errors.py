"""What can go wrong between a recipe and a proven bundle, one class per kind of answer.

Every message says what was found, what was expected, in which thing, and what to do about it.  Nothing
here knows how a failure is shown: the job turns it into a verdict, the command line into one line.
"""


class RetrainError(Exception):
    """The base of every error raised by `retrain`."""


class RecipeError(RetrainError):
    """A recipe or a job description is not one that can be followed."""


class ContractError(RetrainError):
    """A firmware contract contradicts itself, its types, or the data it is given."""


class DatasetError(RetrainError):
    """The listed lumisections are not the ones on disk."""


class ExportError(RetrainError):
    """The network cannot be written as an exact integer program."""


class BuildError(RetrainError):
    """The C++ compiler or loader refused the generated firmware."""


class TooSlowError(BuildError):
    """A tool did not end within its time."""


class EmulatorFailedError(RetrainError):
    """An adopted emulator library crashed, hung, or refused an event."""


class MismatchError(RetrainError):
    """Two descriptions of one network disagree on a vector."""


class BundleAlteredError(RetrainError):
    """A bundle is not what its digest says it is."""


class BundleOutdatedError(BundleAlteredError):
    """A bundle has the form of another version: its bytes are what they were, but nothing here can read them."""


class JobBusyError(RetrainError):
    """Another process is already working on this job."""
