"""An alarm's explanation as sentences, pictures and tables; every function takes the JSON document that was kept.

Written for somebody who was woken up: what, where, since when, what to do and what speaks against it come first.
Nothing here reads a file or knows a template.
"""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from daemon.web import heat, timelines
from daemon.web.words import ALARMS, likenesses, moment_of, sentence, span
from drift.boxes import Box

Document = Mapping[str, Any]
LUMISECTION_S = 23.3104
LEAST_SHOWN = 1.0
_NUMBER = r"-?\d+\.\d+"
_AZIMUTH = rf"(?:all phi|phi {_NUMBER} (?:through pi )?to {_NUMBER})"
REPEATED = re.compile(rf"( in eta {_NUMBER} to {_NUMBER}, {_AZIMUTH}|, since run \d+ lumisection \d+)(?=[,;. ]|$)")
"""The region and the onset in an alarm's text, which "Where" and "Since" say again."""
RULES: dict[str, str] = {
    "contract": "Contract",
    "transient": "Transient",
    "box": "Region",
    "sector": "Azimuth",
    "direction": "Direction of MET",
    "ring": "Ring",
    "rate": "Number of objects",
    "noise": "Noise in the sums",
    "mixed": "Mixed-up events",
    "real_shift": "Real shift",
}


def lead(told: Document) -> tuple[str, str, str]:
    """Return what an expert must know before anything else: what is seen, what to do, what speaks against it."""
    alarm = told["alarm"]
    verdict = ALARMS.get(str(alarm["verdict"]), str(alarm["verdict"])).split(",", 1)[0]
    return (
        sentence(f"{verdict}: {alarm['text']}"),
        sentence(str(alarm["action"])),
        sentence(str(alarm.get("against") or "nothing measured")),
    )


def headline(told: Document) -> list[tuple[str, bool]]:
    """Return the first sentence in pieces, each with whether the lines below repeat it: a phone leaves those out."""
    seen, _, _ = lead(told)
    return [(piece, REPEATED.fullmatch(piece) is not None) for piece in REPEATED.split(seen) if piece]


def moved(told: Document) -> list[Mapping[str, Any]]:
    """Return what moved by more than chance would have it: contributions of at least one unit of log evidence."""
    return [one for one in told["contributors"] if float(one["log_evidence"]) >= LEAST_SHOWN]


def facts(told: Document) -> list[tuple[str, str]]:
    """Return where, since when, and how it was told, one line each."""
    alarm, onset = told["alarm"], told["alarm"]["onset"]
    seen = told["lumisections"]
    count = len(seen) - int(told["onset_place"])
    since = f"run {onset['run']}, lumisection {onset['lumisection']}"
    if count > 0 and seen:
        first = seen[int(told["onset_place"])]
        since += f"; fill {first['fill']}, pileup {float(first['pileup']):.0f}"
    told_at = f"run {alarm['run']}, lumisection {alarm['lumisection']}"
    lines = [
        ("Where", where(told)),
        ("Since", since),
        ("Told at", f"{told_at}, after {_lumisections(count)} ({span(count * LUMISECTION_S)} of data)"),
    ]
    like = likenesses(alarm)
    if like:
        lines.append(("Most like", "; ".join(like)))
    if alarm.get("log_evidence") is not None:
        odds = "natural logarithm of the odds against no change"
        lines.append(("Evidence", f"{float(alarm['log_evidence']):.1f} ({odds})"))
    return lines


def where(told: Document) -> str:
    """Return the region in words, or what has none."""
    box = told["alarm"].get("box")
    if box:
        (a, b), (c, d) = box["eta"], box["phi"]
        region = Box(box["object"], (a, b), (c, d)).words()
        return f"{box['object']}: {region.replace('eta', 'η').replace('phi', 'φ').replace('through pi', 'through π')}"
    objects = list(dict.fromkeys(one["object"] for one in told["contributors"][:3] if one["object"]))
    return f"No region of its own; {', '.join(objects) or 'all objects'} moved most"


def _lumisections(count: int) -> str:
    return "1 lumisection" if count == 1 else f"{count} lumisections"


def axis(told: Document) -> timelines.Axis:
    """Return the lumisections along which pulls are drawn."""
    seen = told["lumisections"]
    breaks = tuple(place for place in range(1, len(seen)) if seen[place]["fill"] != seen[place - 1]["fill"])
    first, last = (moment_of(seen[0]), moment_of(seen[-1])) if seen else ("", "")
    return timelines.Axis(first, last, len(seen), int(told["onset_place"]), breaks)


def curves(told: Document) -> list[tuple[Markup, str, str]]:
    """Return picture, name and caption of every curve."""
    along = axis(told)
    found = []
    for one in told["curves"]:
        mean, score = float(one["mean_since_onset"]), float(one["significance"])
        said = f"{mean:+.1f} benign spreads on average since the onset (significance {abs(score):.1f})"
        low, high = (float(edge) for edge in one["benign"])
        picture = timelines.pull_chart(
            one["pulls"], (low, high), along, f"Pulls of {one['name']} by lumisection", f"{one['name']}: {said}."
        )
        found.append((picture, str(one["name"]), said))
    return found


def inside(told: Document) -> tuple[Markup, str] | None:
    """Return picture and caption of the alarm's region by lumisection, when there is one."""
    one = told.get("inside")
    if not one:
        return None
    place = int(told["onset_place"])

    def share(first: int, last: int | None) -> tuple[int, float]:
        return (
            sum(int(n or 0) for n in one["observed"][first:last]),
            sum(float(n or 0) for n in one["expected"][first:last]),
        )

    (before, due), (after, since_due) = share(0, place), share(place, None)
    said = f"since the onset {after} {one['map']} where {since_due:.0f} were due"
    if due > 0:
        said += f", before it {before} where {due:.0f} were due"
    title = f"{one['map']} in the region over what the rest of its rings makes expected"
    picture = timelines.ratio_chart(one["observed"], one["expected"], axis(told), title, sentence(said))
    return picture, said


def maps(told: Document) -> list[tuple[Markup, str, str]]:
    """Return picture, name and caption of every map, the one that shows the alarm first."""
    box = told["alarm"].get("box")
    chosen = (told.get("inside") or {}).get("map")
    shown = []
    for one in told["maps"]:
        if not heat.readable(one):
            continue
        cells = heat.loudest_cells([one], 1)
        loud = abs(cells[0]["pull"]) if cells else 0.0
        counted = sum(sum(row) for row in one["observed"])
        said = f"{counted} since the onset"
        if cells:
            cell = cells[0]
            said += (
                f"; most different near η {sum(cell['eta']) / 2:.1f}, φ {sum(cell['phi']) / 2:.1f}: {cell['observed']} "
                f"where {cell['expected']:.0f} were due"
            )
        picture = heat.ratio_picture(one, box, f"Map of {one['map']}: observed over expected", sentence(said))
        shown.append((one["map"] != chosen, -loud, (picture, str(one["map"]), said)))
    return [figure for *_, figure in sorted(shown, key=lambda one: one[:2])]


def unreadable(told: Document) -> list[str]:
    """Return the maps that hold too few objects to be drawn, with how many."""
    return [f"{one['map']} ({sum(map(sum, one['observed']))})" for one in told["maps"] if not heat.readable(one)]
