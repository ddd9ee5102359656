"""Offsets and shifts of the inputs as cms-hls4ml/AXOL1TL released them in ``scales.h``, one line an array.

v3 counts absent objects as zeros, later versions do not.  v6.0.0 has the two arrays swapped, divisors in place of their
logarithms, and half-GeV units.  The next two releases are made from it by what they changed.
"""

import math
from dataclasses import replace

from retrain.contract import axol1tl_contract
from retrain.structure import from_scales

RELEASED = {
    "v3": (
        (
            "18 0 72 7 0 70 3 0 68 2 0 68 2 0 66 2 0 212 0 0 0 0 0 0 0 0 0 23 0 68 "
            "15.5 0 66 11.5 0 64 9 0 58 6 1 44 3 0 14 0 0 0 0 0 0 0 0 0 0 0 0"
        ),
        (
            "3 0 6 2 5 6 1 5 6 1 5 6 0 5 6 1 7 7 -1 0 0 -1 0 0 -1 0 0 4 6 6 "
            "3 5 6 3 5 5 3 4 5 2 2 5 1 0 3 -1 0 0 -1 0 0 -1 0 0 -1 0 0"
        ),
    ),
    "v4": (
        (
            "18 0 72 7 0 72 4.5 2 72 4 0 72 3 0 72 5 0 287 3 0 286 3 -2 283 3 -3 285 29 0 72 "
            "22 0 72 17.5 0 72 13.5 0 72 11 0 72 10.5 0 72 10 0 72 9 0 72 9 -2 72 8 0 73"
        ),
        (
            "3 0 6 2 5 6 0 5 6 0 5 6 -1 5 6 1 7 8 0 7 8 0 7 8 0 7 8 4 6 6 "
            "3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 2 6 6"
        ),
    ),
    "v5": (
        (
            "18 0 72 7 0 73 4 0 73 4 0 72 3 0 72 6 0 286 3 -2 285 3 -2 282 3 -2 286 29 0 72 "
            "22 0 72 18 0 72 14 0 72 11 0 72 10 0 72 10 0 73 9 0 73 9 0 72 8 -2 72"
        ),
        (
            "3 0 6 2 5 6 0 5 6 0 5 6 -1 5 6 2 7 8 0 7 8 0 7 8 0 7 8 4 6 6 "
            "3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 3 6 6 2 6 6"
        ),
    ),
    "v6.0.0": (
        (
            "16 1 64 8 32 64 2 32 64 2 32 64 1 32 64 4 128 256 2 128 256 2 128 256 2 128 256 16 64 64 "
            "16 64 64 16 64 64 8 64 64 16 64 64 16 64 64 16 64 64 16 64 64 16 64 64 16 64 64"
        ),
        (
            "28 0 72 14 0 71 9 2 71 8 2 71 6 0 72 10 -2 286 6 0 284 6 0 286 6 -2 285 62 0 71 "
            "48 0 71 42 0 71 37 -2 72 32 0 72 24 -2 72 22 0 72 21 0 71 20 -2 72 20 0 71"
        ),
    ),
}
NAMES = tuple(port.name for port in axol1tl_contract().inputs)
_CORRECTED = {"MET": 3, "EG2": 0, "EG4": -1, "Mu1": 1, "Mu2": 0, "Mu3": 0, "Mu4": 0, "Jet1": 3, "Jet4": 2}
"""Momentum shifts of v6.0.2 that are not those of v6.0.1."""


def arrays_of(version):
    """Return offsets and shifts of a version, in the order of the inputs."""
    if version in RELEASED:
        return tuple([float(one) for one in text.split()] for text in RELEASED[version])
    divisors, offsets = arrays_of("v6.0.0")
    shifts = [math.log2(one) for one in divisors]
    if version == "v6.0.1":
        finer = {name: 1 for name in NAMES if name.endswith("_phi") or (name[:3] == "Jet" and name.endswith("_eta"))}
        return offsets, [shift - finer.get(name, 0) for name, shift in zip(NAMES, shifts, strict=True)]
    assert version == "v6.0.2"
    in_gev = {name: math.floor(one / 2) for name, one in zip(NAMES, offsets, strict=True) if name.endswith("_pt")}
    corrected = {f"{stem}_pt": shift for stem, shift in _CORRECTED.items()}
    return (
        [in_gev.get(name, one) for name, one in zip(NAMES, offsets, strict=True)],
        [corrected.get(name, one) for name, one in zip(NAMES, shifts, strict=True)],
    )


def contract_of(version, padding=None):
    """Return the contract of a version under its own padding convention, or another."""
    own = "included" if version == "v3" else "excluded"
    contract, broken = from_scales(axol1tl_contract(version), *arrays_of(version))
    assert broken == ()
    return replace(contract, padding=padding or own)
