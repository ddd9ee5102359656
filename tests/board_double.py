"""A board that runs the bundle's own emulator library on replayed events and is read out as a live one would be.

It writes run files with its score and decision for every event and bunch crossing, bit for bit those of the library,
unless a test tells it to misbehave.  Its inputs are cut out of the columns here, not by the reader under test.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from drift.schema import AXOL1TL_57
from drift.simulate import columns as simulated
from drift.simulate.kernels import cross
from drift.simulate.scenarios import detector_of
from drift.simulate.stream import tables
from drift.simulate.timeline import make_timeline
from drift.simulate.writer import file_name, write_file
from retrain.contract import Contract
from retrain.firmware import emulator, emulator_source, hls, qonnx
from retrain.firmware.emulator import Emulator

GOLDEN = Path(__file__).parent / "golden" / "firmware"
COLLECTION = "L1AXO"
FIELDS = {"EG": ("L1EG", "hwPt", "hwEta", "hwPhi"), "JET": ("L1Jet", "hwPt", "hwEta", "hwPhi")}
FIELDS["MU"] = ("L1Mu", "hwPt", "hwEtaAtVtx", "hwPhiAtVtx")
OBJECTS = ("L1EG", "L1Mu", "L1Jet", "L1EtSum")
STAMP = datetime(2026, 7, 1, tzinfo=UTC)


def real_library(folder):
    """Build the golden network's emulator library with hls4ml and g++; return its path."""
    import json

    folder.mkdir(parents=True)
    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    graph = Path(shutil.copyfile(GOLDEN / "network.qonnx", folder / "model.qonnx"))
    hls.write(graph, contract, folder / "hls")
    program = qonnx.read(graph, contract)
    return emulator.build(folder, emulator_source.source(contract, program, hls.read(folder / "hls")))


def crossings(count, seed):
    """Return the event columns of simulated zero bias at one pileup, and that pileup."""
    lumisection = make_timeline(1, seed, 10_001, 4)[0].lumisections[1]
    rng = np.random.default_rng(seed)
    detector = detector_of(lumisection, {})
    made = cross(tables(detector.beam_spot), detector, 52.5, count, rng)
    return simulated.events_of(lumisection, made, rng)


def inputs(columns, bx=0):
    """Return the 57 inputs of every event at a crossing, shape (57, n)."""
    count = len(columns["run"])
    out = np.zeros((57, count), np.int16)
    sums = columns["L1EtSum"][(columns["L1EtSum"].etSumType == 2) & (columns["L1EtSum"].bx == bx)]
    _fill(out, [0, 2], sums, ("hwPt", "hwPhi"))
    for kind, (name, *fields) in FIELDS.items():
        objects = columns[name][columns[name].bx == bx]
        rows = AXOL1TL_57.rows(kind)
        for rank in range(len(rows) // 3):
            _fill(out, rows[3 * rank : 3 * rank + 3], objects[:, rank : rank + 1], fields)
    return out


def _fill(out, rows, objects, fields):
    there = ak.to_numpy(ak.num(objects)) > 0
    for row, field in zip(rows, fields, strict=True):
        out[row, there] = ak.to_numpy(ak.flatten(objects[field][there][:, :1]))


def replay(columns, chosen, run, lumisection):
    """Return the columns of chosen events as they would be recorded in another lumisection."""
    out = {name: values[chosen] for name, values in columns.items()}
    count = len(chosen)
    out["run"] = np.full(count, run, np.uint32)
    out["luminosityBlock"] = np.full(count, lumisection, np.uint32)
    out["event"] = (np.uint64(lumisection) << np.uint64(32)) + np.arange(count, dtype=np.uint64)
    return out


def with_neighbours(columns):
    """Return the columns with objects at the crossings before and after, taken from other events."""
    out = dict(columns)
    for name in OBJECTS:
        own = columns[name]
        parts = [own]
        for bx in (-1, 1):
            other = ak.Array(own[np.roll(np.arange(len(own)), bx)])
            parts.append(ak.with_field(other, ak.values_astype(ak.zeros_like(other.bx) + bx, np.int16), "bx"))
        parts[0] = ak.with_field(own, ak.values_astype(own.bx, np.int16), "bx")
        out[name] = ak.concatenate(parts, axis=1)
    return out


class BoardDouble:
    """One board; `flipped` says of how many input vectors one comes out wrong (0: none does)."""

    def __init__(self, library, threshold, flipped=0, seed=1):
        self.emulator = Emulator(library, 57)
        self.threshold, self.flipped = threshold, flipped
        self.rng = np.random.default_rng(seed)
        self.wrong = []

    def scores(self, features):
        return self.emulator.run(features)[1]

    def answer(self, columns, crossings_out=(0,)):
        """Return the board's collection for every event."""
        count, rows = len(columns["run"]), []
        for bx in crossings_out:
            score = self.scores(inputs(columns, bx))
            if self.flipped:
                hit = np.flatnonzero(self.rng.random(count) < 1.0 / self.flipped)
                score[hit] ^= 1  # the least bit of the score
                self.wrong += [(bx, int(one)) for one in hit]
            rows.append((np.full(count, bx, np.int16), score.astype(np.int32), score >= self.threshold))
        if not rows:
            return ak.unflatten(
                ak.zip({"bx": np.zeros(0, np.int16), "hwScore": np.zeros(0, np.int32), "pass": np.zeros(0, np.uint8)}),
                np.zeros(count, np.int64),
            )
        bx, score, passed = (np.stack(part, axis=1) for part in zip(*rows, strict=True))
        flat = ak.zip({"bx": bx.ravel(), "hwScore": score.ravel(), "pass": passed.ravel().astype(np.uint8)})
        return ak.unflatten(flat, np.full(count, len(crossings_out)))

    def write(self, folder, run, lumisections, crossings_out=(0,)):
        """Write one run file of consecutive lumisections, given as columns by number."""
        parts = [{**part, COLLECTION: self.answer(part, crossings_out)} for part in lumisections.values()]
        numbers = sorted(lumisections)
        folder.mkdir(parents=True, exist_ok=True)
        return write_file(folder, file_name(run, numbers[0], numbers[-1]), simulated.join(parts), "ttree", STAMP)


def read_columns(path):
    """Return a simulated run file's event columns as they were written, without what a board sent."""
    with uproot.open(path) as file:
        flat = file["Events"].arrays()
    names = [name[1:] for name in flat.fields if name.startswith("n") and f"{name[1:]}_bx" in flat.fields]
    of = {name: [one for one in flat.fields if one.startswith(f"{name}_")] for name in names}
    grouped = {one for fields in of.values() for one in fields} | {f"n{name}" for name in names}
    columns = {one: ak.to_numpy(flat[one]) for one in flat.fields if one not in grouped}
    for name, fields in of.items():
        columns[name] = ak.zip({one.removeprefix(f"{name}_"): flat[one] for one in fields})
    return columns
