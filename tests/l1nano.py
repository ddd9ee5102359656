"""Small L1Nano files whose every integer is known, written by uproot as TTree or RNTuple."""

import hashlib
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

LIMITS = {"L1EG": (12, 511, 127, 144), "L1Mu": (8, 511, 225, 576), "L1Jet": (12, 2047, 127, 144)}
NAMES = {
    "L1EG": ("hwPt", "hwEta", "hwPhi"),
    "L1Mu": ("hwPt", "hwEtaAtVtx", "hwPhiAtVtx"),
    "L1Jet": ("hwPt", "hwEta", "hwPhi"),
}
CODECS = {
    "none": None,
    "zlib": uproot.ZLIB(1),
    "lz4": uproot.LZ4(4),
    "zstd": uproot.ZSTD(5),
    "lzma": uproot.LZMA(1),
}


def columns(run=382913, lumisections=(1, 2, 3), events=40, seed=1, *, with_bx=False):
    """Return flat and jagged columns of events in the order of their lumisections."""
    rng = np.random.default_rng(seed)
    n = events * len(lumisections)
    flat = {
        "run": np.full(n, run, dtype=np.uint32),
        "luminosityBlock": np.repeat(np.array(lumisections, dtype=np.uint32), events),
        "event": (np.arange(n, dtype=np.uint64) + 1) * 37,
        "bunchCrossing": rng.integers(1, 3565, n).astype(np.uint32),
        "L1_ZeroBias": np.ones(n, dtype=bool),
        "L1_SingleJet35": rng.random(n) < 0.3,
    }
    jagged = {}
    for prefix, (most, pt_high, eta_high, phi_bins) in LIMITS.items():
        counts = rng.integers(0, most + 1, n)
        total = counts.sum()
        pt = ak.sort(ak.unflatten(rng.integers(1, pt_high + 1, total).astype(np.int16), counts), ascending=False)
        parts = (
            pt,
            ak.unflatten(rng.integers(-eta_high, eta_high + 1, total).astype(np.int16), counts),
            ak.unflatten(rng.integers(0, phi_bins, total).astype(np.int16), counts),
        )
        jagged[prefix] = dict(zip(NAMES[prefix], parts, strict=True))
        if with_bx:
            jagged[prefix]["bx"] = ak.unflatten(rng.integers(-2, 3, total).astype(np.int16), counts)
    kinds = np.array([0, 1, 2, 3, 8], dtype=np.int32)
    jagged["L1EtSum"] = {
        "hwPt": ak.from_regular(ak.Array(rng.integers(0, 4096, (n, 5)).astype(np.int32))),
        "hwPhi": ak.from_regular(ak.Array(rng.integers(0, 144, (n, 5)).astype(np.int32))),
        "etSumType": ak.from_regular(ak.Array(np.tile(kinds, (n, 1)))),
    }
    return flat, jagged


def write(path, flat, jagged, *, storage="TTree", codec="zstd", blocks=None, nested=False):
    """Write columns as Events (and LuminosityBlocks) and return the path."""
    if blocks is None and {"run", "luminosityBlock"} <= flat.keys():
        pairs = np.unique(np.stack([flat["run"], flat["luminosityBlock"]]), axis=1)
        blocks = {"run": pairs[0].astype(np.uint32), "luminosityBlock": pairs[1].astype(np.uint32)}
    with uproot.recreate(path, compression=CODECS[codec]) as file:
        for name, scalars, lists in (("Events", flat, jagged), ("LuminosityBlocks", blocks, {})):
            if scalars:
                (_tree if storage == "TTree" else _ntuple)(file, name, scalars, lists, nested)
    return path


def _tree(file, name, flat, jagged, nested):
    zipped = {prefix: ak.zip(parts) for prefix, parts in jagged.items()}
    types = {key: values.dtype for key, values in flat.items()}
    types |= {prefix: ak.type(values).content for prefix, values in zipped.items()}
    file.mktree(name, types).extend(flat | zipped)


def _ntuple(file, name, flat, jagged, nested):
    if nested:
        lists = {prefix: ak.zip(parts) for prefix, parts in jagged.items()}
    else:
        lists = {f"{prefix}_{part}": values for prefix, parts in jagged.items() for part, values in parts.items()}
        counts = {prefix: ak.num(next(iter(parts.values()))) for prefix, parts in jagged.items()}
        lists |= {f"n{prefix}": ak.to_numpy(count).astype(np.int32) for prefix, count in counts.items()}
    file.mkrntuple(name, ak.zip(flat | lists, depth_limit=1))


def features(flat, jagged):
    """Return the 57 inputs by the plainest loop, shape (57, events)."""
    rows = []
    for event in range(len(flat["run"])):
        sums = jagged["L1EtSum"]
        met = [i for i, kind in enumerate(sums["etSumType"][event]) if kind == 2]
        row = [sums["hwPt"][event][met[0]], 0, sums["hwPhi"][event][met[0]]] if met else [0, 0, 0]
        for prefix, keep in (("L1EG", 4), ("L1Mu", 4), ("L1Jet", 10)):
            parts = jagged[prefix]
            bx = parts.get("bx")
            chosen = [i for i in range(len(parts["hwPt"][event])) if bx is None or bx[event][i] == 0][:keep]
            for i in chosen:
                row += [parts[name][event][i] for name in NAMES[prefix]]
            row += [0, 0, 0] * (keep - len(chosen))
        rows.append(row)
    return np.array(rows, dtype=np.int16).T.reshape(57, len(flat["run"]))


def add_sha256(path: Path) -> Path:
    """Write the sidecar that ``sha256sum`` would write, and return it."""
    sidecar = path.with_name(path.name + ".sha256")
    sidecar.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return sidecar
