"""How systemd learns that the daemon is ready, alive or leaving.

The sd_notify protocol: one datagram of `KEY=value` lines to the socket that systemd names in NOTIFY_SOCKET.  Without
systemd nothing is sent and nothing is needed.  Nothing here decides whether the daemon is healthy.
"""

import os
import socket
from collections.abc import Mapping

READY = "READY=1"
WATCHDOG = "WATCHDOG=1"
STOPPING = "STOPPING=1"


def status(text: str) -> str:
    """Return the line that makes `text` what `systemctl status` shows; line breaks would start another key."""
    return "STATUS=" + " ".join(text.split())


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd the lines, as in ``notify(READY, status("watching ZeroBias"))``; may be repeated at will.

    Returns:
        Whether a message was sent: False without systemd, and False when its socket is full or gone, because a
        daemon that cannot speak to its supervisor must go on with its work (the watchdog then does its own).

    References:
        sd_notify(3).  A leading ``@`` names a socket in Linux's abstract namespace.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(1.0)
            channel.connect(address)
            channel.sendall("\n".join(lines).encode())
    except OSError:
        return False
    return True


def watchdog_period_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often to send `WATCHDOG`, in seconds: half of what systemd waits; None when it does not wait."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) > 0 else None
