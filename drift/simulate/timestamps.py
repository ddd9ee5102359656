"""Setting the times inside a ROOT file, so that the same events give the same bytes whenever they are written.

ROOT stamps every key and directory with the wall clock to the second, and uproot offers no way to give it another.  The
stamps stand after a version and, for keys, a length; both are looked for along with the time, so that
no data are taken for one.
"""

import re
from datetime import datetime, timedelta

_KEY = rb"(?:\x00\x04|\x03\xec)[\x00-\xff]{4}"
"""Version of a TKey (4, or 1004 with wide pointers) and the length of what it holds."""
_DIRECTORY = rb"(?:\x00\x05|\x03\xed)"
"""Version of a TDirectory; creation and modification follow."""


def root_time(moment: datetime) -> bytes:
    """Return ROOT's four bytes for a moment: years since 1995, month, day, hour, minute, second (TDatime)."""
    code = (moment.year - 1995) << 26 | moment.month << 22 | moment.day << 17
    code |= moment.hour << 12 | moment.minute << 6 | moment.second
    return code.to_bytes(4, "big")


def restamp(content: bytes, begun: datetime, ended: datetime, stamp: datetime) -> bytes:
    """Return the bytes of a ROOT file with every stamp between two moments replaced by one.

    Args:
        content: The closed file.
        begun: When writing began, in the local time ROOT uses.
        ended: When it ended.
        stamp: What the stamps shall say.
    """
    new = root_time(stamp)
    seconds = int((ended - begun).total_seconds()) + 2
    old = b"|".join(re.escape(root_time(begun + timedelta(seconds=k))) for k in range(-1, seconds))
    content = re.sub(b"(" + _DIRECTORY + b")(?:" + old + b")(?:" + old + b")", lambda m: m[1] + new + new, content)
    return re.sub(b"(" + _KEY + b")(?:" + old + b")", lambda m: m[1] + new, content)
