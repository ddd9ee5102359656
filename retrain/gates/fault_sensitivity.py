"""Gate 11: whether every fault is seen that the champion sees."""

from collections.abc import Sequence

from retrain.gates.result import Answer, Evidence, Gate, Verdict

LEAST_EVENTS = 1_000
"""Replayed events below which nothing is said of a fault."""


def fault_sensitivity(replayed: Evidence) -> Answer:
    """A fault that moves the champion's scores moves the candidate's by no less than the share that has to be kept."""
    rows, champion, numbers = list(replayed["faults"]), replayed["champion"], dict(replayed)
    if champion is not None and champion["same_network"]:
        return "pass", "the champion's own network: a fault moves the same scores", numbers
    if not rows:
        return "pass", "the recipe names no fault; whether faults are seen was not asked", numbers
    if replayed["events"] < LEAST_EVENTS:
        return "inconclusive", f"{replayed['events']} replayed events; at least {LEAST_EVENTS} are needed", numbers
    if champion is None:
        alone = [row["name"] for row in rows if not row["candidate"]["low"] <= 0.5 <= row["candidate"]["high"]]
        return "pass", f"no champion to compare with; {len(alone)} of {len(rows)} faults move the score", numbers
    return *_seen(rows, replayed, champion), numbers


def _seen(rows: Sequence[Evidence], replayed: Evidence, champion: Evidence) -> tuple[Verdict, str]:
    whose = "the adopted library" if champion["kind"] == "adopted library" else "the champion"
    said: tuple[tuple[str, Verdict, str], ...] = (
        ("less", "fail", "is seen less"),
        ("open", "inconclusive", "may be seen less"),
    )
    for word, verdict, words in said:
        found = [row for row in rows if row["verdict"] == word]
        if found:
            each = "; ".join(f"{row['name']} {words} than by {whose} ({_both(row)})" for row in found)
            return verdict, f"{len(found)} of {len(rows)}: {each}; {_share(replayed)}"
    kept, faint = (sum(row["verdict"] == word for row in rows) for word in ("kept", "faint"))
    if not kept and faint:
        return (
            "inconclusive",
            f"{replayed['events']} events are too few to hold any of {len(rows)} faults against {whose}",
        )
    if not kept:
        return "pass", f"{whose} surely sees none of {len(rows)} faults in {replayed['events']} events"
    hardly = [row for row in rows if row["verdict"] == "faint"]
    blind = "; ".join(f"{row['name']} ({_both(row)})" for row in hardly if not _surely(row))
    if blind:
        return (
            "inconclusive",
            f"seen by {whose}, not surely by the candidate, in {replayed['events']} events that tell no more: {blind}",
        )
    text = f"{kept} of {len(rows)} faults are seen by {whose}, and none is seen less; {_share(replayed)}"
    if hardly:
        text += f"; {len(hardly)} seen by both, too faintly to say how much is kept: "
        text += "; ".join(f"{row['name']} ({_both(row)})" for row in hardly)
    return "pass", f"{text}; from {replayed['events']} events, healthy and replayed"


def _surely(row: Evidence) -> bool:
    """Whether the candidate surely sees a fault by a measure in which the champion does.

    How much of a faint effect is kept cannot be asked: not even the champion could be told from a third of itself.
    Whether there is one can: a model beside itself always shows it, and one that has lost its sight does not.
    """
    seen, judged = row["candidate"], row["judged"]
    by_area = not seen["low"] <= 0.5 <= seen["high"]
    by_share = not seen["shift_low"] <= 0.0 <= seen["shift_high"]
    return (judged["area"] != "unseen" and by_area) or (judged["shift"] != "unseen" and by_share)


def _both(row: Evidence) -> str:
    """Say both models' figures in the measure that decided."""
    word = row["verdict"]
    if row["judged"]["area"] == word:
        ours, theirs = (f"{row[one]['area']:.4f}" for one in ("candidate", "champion"))
        return f"area {ours}, champion {theirs}; 0.5 is unmoved"
    ours, theirs = (f"{row[one]['shift']:+.3%}" for one in ("candidate", "champion"))
    return f"pass share moved by {ours}, champion {theirs}"


def _share(replayed: Evidence) -> str:
    return f"{replayed['kept']:.0%} of each effect has to be kept"


GATE = Gate(11, "fault_sensitivity", ("faults",), fault_sensitivity)
