"""Gate 12: whether the candidate is better than the champion on new data, or at least not worse."""

from retrain.gates.result import Answer, Evidence, Gate


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


GATE = Gate(12, "new_data_gain", ("gain",), new_data_gain)
