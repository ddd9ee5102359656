"""What an earlier simulation left in a folder: refused, or taken away when asked, and nothing that it did not make.

Two weeks in one folder would be read as one.  Only names that `simulate` gives are touched, and only in a folder that
holds the truth of a simulation: a folder of real run files has none.
"""

import re
from pathlib import Path

from drift.errors import SimulationError

RUN_FILE = re.compile(r"\.?run\d+_ls\d+-\d+\.root(\.sha256)?(\.part)?")
"""A run file, its checksum, and what a killed simulation left of either."""
BESIDE = {
    "conditions": ("brilcalc.csv", "golden.json", "dcs.json", "oms_lumisections.json", "beam_mode.jsonl"),
    "counters": ("seeds.csv", "zero_bias.csv"),
    "truth": ("truth.json",),
}
"""Files beside the run files, by folder; the truth goes last, so that an interrupted removal can be gone on with."""


def make_room(out: Path, *, overwrite: bool) -> None:
    """Make sure that a folder holds no run files, taking those of an earlier simulation away when asked.

    Raises:
        SimulationError: There are some and they are to stay, or they are of no simulation.
    """
    incoming = out / "incoming"
    there = sorted(one for one in incoming.iterdir() if not one.is_dir()) if incoming.is_dir() else []
    whole = [one for one in there if one.suffix == ".root" and not one.name.startswith(".")]
    if whole and not overwrite:
        raise SimulationError(
            f"{incoming} holds {len(whole)} run files already, first {whole[0].name}; name another folder, or "
            "give --overwrite to take the earlier simulation away"
        )
    if not overwrite:
        return
    if whole and not (out / "truth" / "truth.json").is_file():
        raise SimulationError(
            f"{incoming} holds {len(whole)} run files, and {out} no truth/truth.json: they are of no "
            "simulation, and stay; name another folder"
        )
    for one in there:
        if RUN_FILE.fullmatch(one.name):
            one.unlink()
    for folder, names in BESIDE.items():
        for name in names:
            (out / folder / name).unlink(missing_ok=True)
