"""Whether the firmware sources of a bundle are those of its weights, all of them and nothing else.

Reads files, compiles nothing.  A release of AXOL1TL was rebuilt because a second set of weights had been left beside
the first; so every array is looked for in every source, and compared with the integers it should be.

References:
    cms-hls4ml/AXOL1TL, v6.0.3 ("weight fix").
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retrain.contract import Contract
from retrain.errors import ExportError
from retrain.firmware import emulator_source, hls, qonnx
from retrain.program import FLOAT32_LIMIT, Dense, IntegerProgram
from retrain.structure import Finding

_DEFINED = re.compile(r"\b(\w+)\s*\[[^\]]*\]\s*=\s*\{([^}]*)\}")
_INCLUDED = re.compile(r'#include\s+"(?:\./)?weights/([^"]+)"')
_FOREIGN = {"nnet_utils", "ap_types"}  # the vendor's and hls4ml's own headers


def inspect(folder: Path, contract: Contract, program: IntegerProgram) -> tuple[Finding, ...]:
    """Return every reason to refuse the sources in a bundle's folder; an empty tuple when they are whole and its own.

    Args:
        folder: A bundle, or what will become one: ``hls/firmware``, ``emulator/emulator.cpp``, ``model.qonnx``.
        contract: Of the bundle.
        program: Its integer reference, made from its weights file.
    """
    firmware = folder / "hls" / "firmware"
    out = [*_weight_sources(firmware), *_accumulators(firmware, program), *_graph(folder, contract, program)]
    try:
        sources = hls.read(folder / "hls")
    except (ExportError, KeyError, OSError, ValueError) as error:
        return (
            *out,
            Finding("hls/firmware", f"{type(error).__name__}: {error}", "the form hls4ml writes", "read back"),
        )
    grid = list(_off_grid(sources, program))
    out += grid
    named = {one.field for one in grid}
    try:
        told = hls.differences(sources, program)
    except KeyError as error:
        told = [f"array {error} is used and defined nowhere"]
    out += [
        Finding("hls constants", text, "the integers of weights.safetensors, in the types of program.json", "read back")
        for text in told
        if text.split(":", 1)[0] not in named
    ]
    return (*out, *_surroundings(folder, contract, program, sources))


def _weight_sources(firmware: Path) -> Iterator[Finding]:
    """Every weight file is included once and exists, and no array is defined twice."""
    parameters = firmware / "parameters.h"
    included = _INCLUDED.findall(parameters.read_text(encoding="utf-8")) if parameters.exists() else []
    there = {path.name for path in (firmware / "weights").glob("*") if path.is_file()}
    for name in sorted(there - set(included)):
        yield Finding(f"hls/firmware/weights/{name}", "not included", "included by parameters.h", "a stale source")
    for name in sorted(set(included) - there):
        yield Finding(f"hls/firmware/weights/{name}", "missing", "a file", "parameters.h includes it")
    for name in sorted({one for one in included if included.count(one) > 1}):
        yield Finding(f"hls/firmware/weights/{name}", f"included {included.count(name)} times", "once", "parameters.h")
    defined: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(firmware.rglob("*")):
        inside = path.relative_to(firmware)
        if path.suffix not in {".h", ".hpp", ".cpp", ".cc", ".c"} or _FOREIGN & set(inside.parts):
            continue
        for name, numbers in _DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")):
            defined.setdefault(name, []).append((inside.as_posix(), "".join(numbers.split())))
    for name, places in sorted(defined.items()):
        if len(places) > 1:
            same = len({numbers for _, numbers in places}) == 1
            yield Finding(
                f"hls/firmware array {name}",
                f"defined in {', '.join(place for place, _ in places)}",
                "one definition",
                "a duplicate source with the same values" if same else "two sources with different values",
            )


def _accumulators(firmware: Path, program: IntegerProgram) -> Iterator[Finding]:
    """The worst case of every sum, by interval arithmetic, fits float32 and the accumulator that C++ declares."""
    names = {layer.name for layer in program.layers if isinstance(layer, Dense)}
    for bound in program.bounds():
        if bound.layer in names and bound.high >= FLOAT32_LIMIT:
            yield Finding(
                f"{bound.layer} sum", f"worst case {bound.high}", f"below {FLOAT32_LIMIT}", "PyTorch is not exact there"
            )
    try:
        narrow = hls.narrow_accumulators(hls.read(firmware.parent), program)
    except (ExportError, KeyError, OSError, ValueError):
        return  # said where the sources are read
    for text in narrow:
        yield Finding(f"{text.split()[0]} accumulator", text, "a type that holds its worst case", "interval arithmetic")


def _off_grid(sources: hls.Sources, program: IntegerProgram) -> Iterator[Finding]:
    """Weights lie on a power of two, biases on input scale times weight scale; firmware would round any other."""
    dense = [layer for layer in program.layers if isinstance(layer, Dense)]
    links = [link for link in sources.links if link.operation == "dense"]
    for link, layer in zip(links, dense, strict=False):
        for array, what, bits in (
            (link.weights, "weight", layer.weight_fraction),
            (link.bias, "bias", program.fractions[layer.name]),
        ):
            raw = sources.constants.get(array, np.zeros(0)) * 2.0**bits
            between = np.flatnonzero(raw != np.floor(raw))
            if len(between):
                value = raw[between[0]] * 2.0**-bits
                yield Finding(
                    f"{link.name}.{array}",
                    f"{len(between)} of {len(raw)} values between steps, first {value:g}",
                    f"multiples of 2**-{bits}",
                    f"the {what}'s scale; firmware would round it in silence",
                )


def _graph(folder: Path, contract: Contract, program: IntegerProgram) -> Iterator[Finding]:
    """The QONNX graph is exact on power-of-two grids and holds the same integers."""
    try:
        found = qonnx.read(folder / "model.qonnx", contract)
    except ExportError as error:
        yield Finding("model.qonnx", str(error), "an exact integer program", "read back")
        return
    except Exception as error:  # noqa: BLE001 - a damaged protobuf raises whatever its library likes
        yield Finding("model.qonnx", f"unreadable: {error}", "a QONNX graph", "read back")
        return
    if found.structure() != program.structure():
        yield Finding("model.qonnx", "other layers or types", "those of program.json", "read back")
        return
    ours = program.arrays()
    for name, array in found.arrays().items():
        if not np.array_equal(array, ours[name]):
            wrong = int((array != ours[name]).sum()) if array.shape == ours[name].shape else array.size
            yield Finding(f"model.qonnx {name}", f"{wrong} values differ", "those of weights.safetensors", "read back")


def _surroundings(folder: Path, contract: Contract, program: IntegerProgram, sources: hls.Sources) -> Iterator[Finding]:
    """Normalisation and score around the network are those of this contract: offsets, shifts and types as written."""
    path = folder / "emulator" / "emulator.cpp"
    wanted = emulator_source.source(contract, program, sources).splitlines()
    found = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if found == wanted:
        return
    pairs = zip(found, wanted, strict=False)
    line = next((number for number, (one, two) in enumerate(pairs, 1) if one != two), min(len(found), len(wanted)) + 1)
    yield Finding(
        "emulator/emulator.cpp",
        f"line {line}: {found[line - 1].strip()[:80] if line <= len(found) else 'nothing'}",
        wanted[line - 1].strip()[:80] if line <= len(wanted) else "nothing",
        "written from the contract",
    )
