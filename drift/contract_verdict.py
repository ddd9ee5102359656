"""The verdict on input columns that broke their contract: which, since when, and whether they still do.  Pure."""

from collections.abc import Sequence

from drift.diagnose import Diagnosis
from drift.ladder import CONTRACT, TRANSIENT
from drift.memory import Seen


def broken_columns(seen: Sequence[Seen], raised: int, before: int) -> Diagnosis | None:
    """Return the verdict when columns broke their contract since an alarm was raised; None when they did not.

    Args:
        seen: Remembered lumisections, in order.
        raised: Count at which the alarm was raised.
        before: Lumisections before it in which a column may have begun to break.
    """
    since = [one for one in seen if one.clock >= raised]
    bad = [one for one in seen if one.broken and one.clock >= raised - before]
    if not bad or not since:
        return None
    first = bad[0]
    names = sorted({part.text for one in bad for part in one.broken})
    kind = first.broken[0].object
    text = "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if len(since) > 1 and not since[-1].broken:
        text = f"{text}, for a moment"
        return Diagnosis(TRANSIENT, kind, first.clock, None, text, "it may come again", 0.0)
    whole = sum(not one.broken for one in since)
    against = f"{whole} of {len(since)} lumisections since kept the contract"
    return Diagnosis(CONTRACT, kind, first.clock, None, text, against, 0.0)


def breaking(seen: Sequence[Seen], least: int) -> int | None:
    """Return the count since which columns have been broken without a pause, for at least so many lumisections."""
    if len(seen) < least or not all(one.broken for one in seen[-least:]):
        return None
    since = len(seen)
    while since and seen[since - 1].broken:
        since -= 1
    return seen[since].clock
