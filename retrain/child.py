"""A process that does not outlive the one that started it."""

import ctypes
import os
import signal

from retrain.errors import JobBusyError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it is gone.

    Raises:
        JobBusyError: The parent died before the kernel was asked.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise JobBusyError("the parent process is gone already; the job belongs to nobody")
