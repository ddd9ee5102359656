"""What onnxruntime makes of the plain graph, for the proof and for whoever wants scores without a compiler.

Nothing here knows what the numbers should be.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Features
from retrain.firmware.plain_onnx import HARDWARE, LATENT, NORMALISED, SCORE, with_layers
from retrain.fixed_point import Integers

OFF_GRID = np.iinfo(np.int32).max  # stands for an output that is no integer, and equals no true one
_CHUNK = 8192


def run(path: Path, features: Features, beat: Callable[[float, str], None] | None = None) -> tuple[Integers, Integers]:
    """Return latent integers ``(n_events, n_latent)`` and scores ``(n_events,)`` from onnxruntime.

    Args:
        path: The graph, as `plain_onnx.write` left it.
        features: Hardware integers, shape ``(n_inputs, n_events)``.
        beat: Called with the fraction done after every eight thousand vectors.
    """
    session = _session(path.read_bytes())
    latents, scores = [], []
    for start in range(0, features.shape[1], _CHUNK):
        part = np.ascontiguousarray(features[:, start : start + _CHUNK].T, dtype=np.float32)
        latent, score = session.run([LATENT, SCORE], {HARDWARE: part})
        latents.append(_whole(latent))
        scores.append(_whole(score)[:, 0])
        if beat is not None:
            beat(start / features.shape[1], "ONNX runtime")
    return np.concatenate(latents), np.concatenate(scores)


def inside(path: Path, event: NDArray[np.int16], layers: list[str]) -> dict[str, NDArray[np.float64]]:
    """Return the normalised input and the output of each layer, raw, for one event."""
    names = [NORMALISED, *layers]
    session = _session(with_layers(path, set(names)))
    found = session.run(names, {HARDWARE: np.ascontiguousarray(event[None, :], dtype=np.float32)})
    return {name: np.asarray(values, np.float64)[0] for name, values in zip(names, found, strict=True)}


def _session(graph: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415 - paid only where it is needed

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _whole(values: NDArray[np.float32]) -> Integers:
    return np.where(values == np.floor(values), values, OFF_GRID).astype(np.int64)
