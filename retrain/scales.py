"""Offsets, shifts and a threshold as the people of a running trigger have them, brought into a contract.

Pure: values in, a contract or an integer out.  Whether the numbers fit data is for `retrain.preflight` to say.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from retrain.contract import Contract, Padding
from retrain.errors import ContractError
from retrain.fixed_point import FixedPoint

PADDINGS: tuple[Padding, ...] = ("excluded", "included")


def with_given_scales(socket: Contract, value: Mapping[str, Any], version: str = "") -> Contract:
    """Return the socket with the offsets and shifts of a scales file.

    Args:
        socket: The contract without scales; its inputs must be those of the file, in the same order.
        value: ``inputs``, ``ad_offsets`` and ``ad_shift``; or ``inputs`` and ``versions``, each with those two arrays.
            ``offset_type``, ``shift_type`` and ``padding`` are taken when they are there.
        version: Which of the versions; needed when there is more than one.

    Raises:
        ContractError: The file has another form or other inputs, or the version is not in it.
    """
    names, ours = list(value.get("inputs", ())), [one.name for one in socket.inputs]
    if names != ours:
        wrong = next((i for i, pair in enumerate(zip(names, ours, strict=False)) if pair[0] != pair[1]), len(names))
        raise ContractError(
            f"scales are for {len(names)} inputs, {socket.name} has {len(ours)}; the first that differs is number "
            f"{wrong + 1}; give them in the order of the trigger"
        )
    chosen = _chosen(value, version)
    try:
        offsets, shifts = (np.array([float(one) for one in chosen[key]]) for key in ("ad_offsets", "ad_shift"))
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"scales cannot be read: {error!r}; expected numbers under ad_offsets, ad_shift") from error
    padding = next((one for one in PADDINGS if one == chosen.get("padding", socket.padding)), None)
    if padding is None:
        raise ContractError(f"scales say padding {chosen['padding']!r}; expected one of {PADDINGS}")
    typed = replace(
        socket,
        padding=padding,
        offset_type=str(chosen.get("offset_type", socket.offset_type)),
        shift_type=str(chosen.get("shift_type", socket.shift_type)),
    )
    return typed.with_scales(offsets, shifts)


def _chosen(value: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    versions: dict[str, Mapping[str, Any]] = dict(value.get("versions") or {version: value})
    if not version and len(versions) == 1:
        return next(iter(versions.values()))
    if version not in versions:
        raise ContractError(f"scales have versions {sorted(versions)}, not {version!r}; name one of them")
    return versions[version]


def threshold_of(text: str, score: FixedPoint) -> int:
    """Return the integer threshold: a whole number as it is, one with a point as a value of the score.

    A value between two integers becomes the upper one: the same events pass.

    Raises:
        ContractError: The text is no number, or one that no score can reach.
    """
    try:
        whole = math.ceil(float(text) * 2.0**score.fraction) if "." in text else int(text)
    except (ValueError, OverflowError) as error:
        raise ContractError(f"threshold {text!r} is no number; expected e.g. 3541, or 221.3125 as a score") from error
    if not 0 <= whole <= score.high:
        raise ContractError(f"threshold {text} is {whole} in units of {score}; a score is 0 to {score.high}")
    return whole
