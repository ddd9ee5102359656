"""Whether the evidence of a candidate suffices, gate by gate.

Pure: evidence in, numbered verdicts out.  "Inconclusive" is an answer of its own; it never opens a gate.
Nothing here knows how the evidence was measured, or who will read the verdict.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Verdict = Literal["pass", "fail", "inconclusive"]
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "inconclusive")


@dataclass(frozen=True)
class GateResult:
    """What one gate said, and on what grounds.

    Attributes:
        number: Its place in the list, from 1; the order is that in which a person would ask.
        name: Snake case, stable: it is written into ledgers.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        summary: One sentence with the numbers that decided it.
        evidence: The numbers themselves, plain JSON values.
    """

    number: int
    name: str
    verdict: Verdict
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "number": self.number,
            "name": self.name,
            "verdict": self.verdict,
            "summary": self.summary,
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; a verdict that is none of the three becomes ``inconclusive``."""
        verdict: Verdict = next((known for known in VERDICTS if known == value.get("verdict")), "inconclusive")
        return cls(
            int(value["number"]), str(value["name"]), verdict, str(value["summary"]), dict(value.get("evidence", {}))
        )


def overall(gates: Iterable[GateResult]) -> Verdict:
    """Return the verdict of a whole list: one failure fails it, one doubt leaves it open, and nothing never passes."""
    verdicts = [gate.verdict for gate in gates]
    if "fail" in verdicts:
        return "fail"
    if not verdicts or "inconclusive" in verdicts:
        return "inconclusive"
    return "pass"


def reason(gates: Sequence[GateResult]) -> str:
    """Return one line that says which gates did not pass, or that all did."""
    if not gates:
        return "no gate was run, and an empty list never passes"
    open_gates = [f"gate {gate.number} {gate.name}: {gate.summary}" for gate in gates if gate.verdict != "pass"]
    return "; ".join(open_gates) if open_gates else f"all {len(gates)} gates pass"


MINIMUM_VECTORS = 100_000
SURE = 0.8  # an estimate within this share of its budget passes; one beyond the inverse share fails
UNSTABLE_P = 1e-3
WORST_PILEUP_RATIO = 100.0
TOLERATED_STEP = 1.25  # rate one integer below the threshold, over the target: coarser scores cannot hit a rate

OF_THE_NETWORK = frozenset({"bit_exact", "accumulator_bound", "resources", "latency", "reproducibility"})

Evidence = Mapping[str, Any]
Answer = tuple[Verdict, str, dict[str, Any]]


def judge(evidence: Mapping[str, Evidence], parent: str = "") -> tuple[GateResult, ...]:
    """Return every gate's verdict, in order.

    Args:
        evidence: By name: ``dataset``, ``preflight``, ``proof``, ``resources``, ``budget``, ``working_point``,
            ``comparison``, ``training``, ``faults``, ``gain``.  A gate whose evidence is missing fails: unknown is not
            good.
        parent: Digest of the bundle whose network and proof were kept; the gates that rest on it say so.
    """
    gates: tuple[tuple[str, Callable[..., Answer], tuple[str, ...]], ...] = (
        ("data_certified", data_certified, ("dataset",)),
        ("contract", contract_holds, ("preflight",)),
        ("bit_exact", bit_exact, ("proof",)),
        ("accumulator_bound", accumulator_bound, ("proof",)),
        ("resources", resources, ("resources", "budget")),
        ("latency", latency, ("resources", "budget")),
        ("threshold_interval", threshold_interval, ("working_point",)),
        ("rate_stability", rate_stability, ("working_point",)),
        ("reproducibility", reproducibility, ("training",)),
        ("non_inferiority", non_inferiority, ("comparison",)),
        ("fault_sensitivity", fault_sensitivity, ("faults",)),
        ("new_data_gain", new_data_gain, ("gain",)),
    )
    out: list[GateResult] = []
    for number, (name, gate, needs) in enumerate(gates, start=1):
        missing = [need for need in needs if not evidence.get(need)]
        if missing:
            out.append(GateResult(number, name, "fail", f"no evidence of {' and '.join(missing)}"))
            continue
        verdict, summary, numbers = gate(*(evidence[need] for need in needs))
        if parent and name in OF_THE_NETWORK:
            summary, numbers = f"{summary}; rests on parent {parent[:12]}", {**numbers, "parent": parent}
        out.append(GateResult(number, name, verdict, summary, numbers))
    return tuple(out)


def data_certified(dataset: Evidence) -> Answer:
    """Every lumisection learned from is certified; silence of the certification is not consent."""
    numbers = {
        name: dataset[name] for name in ("lumisections", "events", "certified", "rejected", "unspoken", "digest")
    }
    if dataset["rejected"]:
        return "fail", f"{len(dataset['rejected'])} lumisections are certified bad: {dataset['rejected'][:5]}", numbers
    if dataset["unspoken"]:
        silent = (
            f"certification has not spoken for {len(dataset['unspoken'])} of {dataset['lumisections']} lumisections"
        )
        return "inconclusive", silent, numbers
    return "pass", f"{dataset['lumisections']} lumisections, {dataset['events']} events, all certified", numbers


def contract_holds(preflight: Evidence) -> Answer:
    """Offsets, shifts, units and types fit the data the model was made from."""
    findings = list(preflight["findings"])
    if findings:
        return "fail", f"{len(findings)} findings, first {findings[0]}", dict(preflight)
    return (
        "pass",
        f"contract {str(preflight['contract_digest'])[:12]} fits {preflight['events']} events",
        dict(preflight),
    )


def bit_exact(proof: Evidence) -> Answer:
    """All engines agree on every vector, there were enough vectors, and constants and types agree as written."""
    numbers = {name: proof[name] for name in ("vectors", "classes", "mismatching_vectors", "structure", "rails")}
    numbers["first_difference"] = proof["first_difference"]
    vectors = int(proof["vectors"])
    if proof["mismatching_total"] or proof["structure"]:
        first = proof["first_difference"] or {}
        where = f"first in {first['engine']} at {first['layer']}" if first else str(proof["structure"][:1])
        return "fail", f"{proof['mismatching_total']} of {vectors} vectors differ, {where}", numbers
    if vectors < MINIMUM_VECTORS:
        return "inconclusive", f"0 mismatches, but only {vectors} of {MINIMUM_VECTORS} vectors", numbers
    return "pass", f"0 mismatches in {vectors} vectors over {', '.join(proof['engines'])}", numbers


def accumulator_bound(proof: Evidence) -> Answer:
    """No input can make a sum inexact in float32 or overflow an accumulator in C++."""
    bound = proof["accumulators"]
    if not bound["exact_in_float32"]:
        text = f"worst case {bound['worst_case']} reaches 2**24; PyTorch and QONNX are not exact there"
        return "fail", text, dict(bound)
    if bound["too_narrow"]:
        return "fail", str(bound["too_narrow"][0]), dict(bound)
    return "pass", f"worst case {bound['worst_case']} below 2**24, every accumulator holds its own", dict(bound)


def resources(estimate: Evidence, budget: Evidence) -> Answer:
    """The cost keeps a margin to the budget for what an estimate can be wrong by; a routed design needs none."""
    numbers = {"estimate": dict(estimate), "budget": dict(budget)}
    parts, worst = [], 0.0
    for name in ("lut", "ff", "dsp"):
        used, limit = float(estimate[name]), float(budget[name])
        share = used / limit if limit else (0.0 if used == 0 else float("inf"))
        worst = max(worst, share)
        parts.append(f"{name.upper()} {used:.0f} of {limit:.0f}")
    status = str(estimate.get("status", "estimate"))
    if not status.startswith("estimate"):
        good = worst <= 1.0 and "timing closed" in status
        return ("pass" if good else "fail"), f"{', '.join(parts)} ({status})", numbers
    text = f"{', '.join(parts)} (ESTIMATE, not placed and routed)"
    if worst > 1 / SURE:
        return "fail", text, numbers
    return ("pass" if worst <= SURE else "inconclusive"), text, numbers


def latency(estimate: Evidence, budget: Evidence) -> Answer:
    """The answer comes within the ticks of the slot, by clocks counted in simulation."""
    used, limit = int(estimate["latency_ticks"]), int(budget["latency_ticks"])
    text = f"{estimate['stages']} clocks of {budget['clock_mhz']:g} MHz in simulated RTL, {used} of {limit} ticks"
    if str(estimate.get("status", "estimate")).startswith("estimate"):
        text += " (ESTIMATE: the clock is not proven)"
    return ("pass" if used <= limit else "fail"), text, {"estimate": dict(estimate), "budget": dict(budget)}


def threshold_interval(point: Evidence) -> Answer:
    """The rate at the threshold is known from enough events, and the target lies within its interval."""
    names = ("threshold", "passing", "events", "rate_hz", "low_hz", "high_hz", "target_rate_hz", "one_below_hz")
    numbers = {name: point[name] for name in (*names, "confidence", "minimum_passing")}
    text = (
        f"threshold {point['threshold']}: {point['rate_hz'] / 1e3:.1f} kHz "
        f"({point['low_hz'] / 1e3:.1f} to {point['high_hz'] / 1e3:.1f}) for {point['target_rate_hz'] / 1e3:.1f} kHz "
        f"from {point['passing']} of {point['events']} events"
    )
    if point["passing"] < point["minimum_passing"]:
        return "inconclusive", f"{text}; at least {point['minimum_passing']} are needed", numbers
    if not point["low_hz"] <= point["target_rate_hz"] <= point["high_hz"]:
        return "fail", f"{text}; the target is outside", numbers
    if point["one_below_hz"] > TOLERATED_STEP * point["target_rate_hz"] and point["rate_hz"] < point["target_rate_hz"]:
        return "fail", f"{text}; one integer lower gives {point['one_below_hz'] / 1e3:.1f} kHz, too coarse", numbers
    return "pass", text, numbers


def rate_stability(point: Evidence) -> Answer:
    """Rate follows pileup alone, is the same on events learned from and kept back, and explodes in no stratum."""
    smooth, learned = point["stability"], point["training"]
    counted = [one for one in point["strata"] if one["passing"] > 0 and one["pileup_from"] is not None]
    surely_high = max((one["low_hz"] for one in counted), default=0.0)
    ratio = surely_high / min((one["high_hz"] for one in counted), default=1.0)
    numbers = {"stability": smooth, "training": learned, "strata": point["strata"], "pileup_ratio": ratio}
    if learned["p_value"] < UNSTABLE_P:
        text = f"training events pass {learned['fraction']:.4f}, held-out {learned['held_out_fraction']:.4f}"
        return "fail", f"{text}: it learned by heart", numbers
    if smooth["tested"] and smooth["p_value"] < UNSTABLE_P:
        return "fail", f"rate differs between fills at one pileup (p = {smooth['p_value']:.1e})", numbers
    if ratio > WORST_PILEUP_RATIO:
        return "fail", f"rate surely grows {ratio:.0f} times across pileup strata", numbers
    if point["passing"] < point["minimum_passing"]:
        return "inconclusive", f"{point['passing']} passing events say nothing about stability", numbers
    tested = (
        f"p = {smooth['p_value']:.2g} in {smooth['cells']} cells" if smooth["tested"] else "too few cells for fills"
    )
    return "pass", f"rate follows pileup ({tested}) over {len(counted)} strata", numbers


def reproducibility(training: Evidence) -> Answer:
    """A second start of the training ended its first epoch in the same bits."""
    numbers = {name: training[name] for name in ("first_epoch", "first_epoch_again", "graph_again")}
    same = training["first_epoch"] == training["first_epoch_again"] and training["graph_again"] is True
    if not same:
        return "fail", "the same recipe on the same data gave other bits", numbers
    return "pass", f"first epoch repeated to the bit ({str(training['first_epoch'])[:12]}), graph too", numbers


def non_inferiority(compared: Evidence) -> Answer:
    """At one rate the candidate keeps every signal its champion keeps, in every stratum of pileup, within a margin."""
    numbers = {name: compared[name] for name in ("champion", "margin", "confidence", "confidence_each", "verdicts")}
    told: list[tuple[str, Evidence]] = []
    for one in compared["signals"]:
        told.append((one["name"], one))
        if len(one["strata"]) > 1:
            told += [(f"{one['name']} at pileup {row['pileup_from']}", row) for row in one["strata"]]
    numbers["efficiencies"] = {name: row["candidate"] for name, row in told}
    if compared["champion"] is None:
        return "pass", f"no champion to compare with; {len(compared['signals'])} signals measured", numbers
    if not told:
        return "pass", "the recipe names no signal; nothing but rates was compared with the champion", numbers
    if compared["champion"]["same_network"]:
        return "pass", "the champion's own network: at one rate it keeps the same events", numbers
    numbers["judged"] = {name: row["verdict"] for name, row in told}
    for word in ("worse", "inconclusive"):
        found = [(name, row) for name, row in told if row["verdict"] == word]
        if not found:
            continue
        name, row = found[0]
        said = "is worse than" if word == "worse" else "cannot be told from"
        text = (
            f"{len(found)} of {len(told)}: {name} {row['candidate']['fraction']:.3f} {said} "
            f"{row['champion']['fraction']:.3f} ({row['lost']} lost, {row['gained']} gained of {row['events']} events; "
            f"margin {compared['margin']:.0%})"
        )
        return ("fail" if word == "worse" else "inconclusive"), text, numbers
    better = sum(row["verdict"] == "better" for _, row in told)
    return "pass", f"{len(told)} verdicts, {better} better, none worse by more than {compared['margin']:.0%}", numbers


LEAST_EVENTS = 1_000  # replayed events below which nothing is said of a fault


def fault_sensitivity(replayed: Evidence) -> Answer:
    """A fault that moves the champion's scores moves the candidate's by no less than the share that has to be kept."""
    rows, champion, numbers = list(replayed["faults"]), replayed["champion"], dict(replayed)
    if not rows:
        return "pass", "the recipe names no fault; whether faults are seen was not asked", numbers
    if replayed["events"] < LEAST_EVENTS:
        return "inconclusive", f"{replayed['events']} replayed events; at least {LEAST_EVENTS} are needed", numbers
    if champion is None:
        alone = [row["name"] for row in rows if not row["candidate"]["low"] <= 0.5 <= row["candidate"]["high"]]
        return "pass", f"no champion to compare with; {len(alone)} of {len(rows)} faults move the score", numbers
    if champion["same_network"]:
        return "pass", "the champion's own network: a fault moves the same scores", numbers
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
    text = f"{kept} of {len(rows)} faults are seen by {whose}, and none is seen less; {_share(replayed)}"
    return "pass", f"{text}; from {replayed['events']} events, healthy and replayed"


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


def new_data_gain(gained: Evidence) -> Answer:
    """Nothing is shown to be worse on held-out data; where the recipe needs a gain, one is shown."""
    rows, numbers = list(gained["measures"]), dict(gained)
    if gained["champion"] is None:
        return "pass", "no champion to gain on", numbers
    harm = [row for row in rows if row["verdict"] == "harm"]
    if harm:
        return (
            "fail",
            f"harm shown, more than the margin of {gained['margin']:.0%}: {_played(harm[0], 'harm')}",
            numbers,
        )
    better = [row for row in rows if row["verdict"] == "gain"]
    if better:
        return "pass", f"gain shown in {len(better)} of {len(rows)}: {_played(better[0], 'gain')}", numbers
    text = f"no gain shown yet: {'; '.join(_played(row, 'gain') for row in rows)}"
    if gained["needed"]:
        return "inconclusive", f"{text}; this candidate was asked for to be better", numbers
    return "pass", f"{text}; none was asked for", numbers


def _played(row: Evidence, game: str) -> str:
    """Say both models' figures and what the game came to."""
    rate = row["name"] == "rate"
    figures = f"{row['candidate']:.3f}, champion {row['champion']:.3f}"
    what = f"rate off its target by {figures} of it" if rate else f"{row['name']} kept {figures}"
    after = row[f"{game}_after"]
    steps = "blocks" if rate else "events"
    when = f"known after {after} of {row['steps']} {steps}" if after else f"{row['steps']} {steps}"
    return f"{what} (e = {10 ** min(row[f'{game}_log10_e'], 300.0):.3g}, {when})"
