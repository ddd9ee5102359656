"""Gate 10: whether every signal is kept that the champion keeps."""

from retrain.gates.result import Answer, Evidence, Gate


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


GATE = Gate(10, "non_inferiority", ("comparison",), non_inferiority)
