"""Where RTL that answers wrongly goes wrong: in which layer of the logic, or behind which of its registers.

Called when a vector differs.  The logic that da4ml traced is interpreted layer by layer; if it is right throughout, the
Verilog itself is opened: compiled once more with its registers visible, and each compared with what the pipeline
should hold there.
"""

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.contract import Contract, Features
from retrain.firmware import logic, rtl
from retrain.fixed_point import Integers
from retrain.program import IntegerProgram


def first_difference(
    contract: Contract,
    program: IntegerProgram,
    folder: Path,
    work: Path,
    event: Features,
    *,
    traced: Iterable[tuple[str, Any]] | None = None,
) -> tuple[str, str]:
    """Return the layer that differs and where it was seen, for one event on which the RTL is wrong.

    Args:
        contract: Of the port.
        program: The integer reference.
        folder: The RTL's.
        work: For the module compiled with its registers visible; emptied first.
        event: Hardware integers, shape ``(n_inputs, 1)``.
        traced: Logic that ends with each layer; traced from the program when not given.
    """
    for name, values, reference in _layers(contract, program, event, traced or logic.traces(contract, program)):
        if not np.array_equal(values, reference):
            return name, "da4ml's trace"
    stage = _register(contract, program, folder, work, event)
    return ("verilog", f"register stage {stage}") if stage else ("verilog", "output")


def _layers(
    contract: Contract, program: IntegerProgram, event: Features, traced: Iterable[tuple[str, Any]]
) -> Iterator[tuple[str, NDArray[np.float64], Integers]]:
    raw = np.ascontiguousarray(contract.normalised_raw(event).T)
    ours = {"normalisation": raw[0], **{name: values[0] for name, values in program.trace(raw)}}
    ours["score"] = program.score_of(ours[program.layers[-1].name][None])
    fractions = {"normalisation": program.port.fraction, "score": program.score.fraction, **program.fractions}
    values = _port_values(contract, event)
    for name, part in traced:
        yield name, np.asarray(part.predict(values, n_threads=1))[0] * 2.0 ** fractions[name], ours[name]


def _port_values(contract: Contract, event: Features) -> NDArray[np.float64]:
    return np.ascontiguousarray(contract.port_raw(event).T * 2.0 ** -contract.type_of("port").fraction)


def _register(contract: Contract, program: IntegerProgram, folder: Path, work: Path, event: Features) -> int:
    """Return the first register stage that holds something else than the pipeline should; 0 when none does."""
    pipeline = rtl.pipeline_of(logic.trace(contract, program))
    library = ctypes.CDLL(str(rtl.verilate(folder, work, inspect=True).resolve()), mode=ctypes.RTLD_LOCAL)
    ports = rtl.ports_of(folder)
    words = rtl.port_words(contract, event)
    values: Any = _port_values(contract, event)
    for stage, solution in enumerate(pipeline.solutions[:-1], 1):
        values = np.asarray(solution.predict(np.asarray(values, np.float64), n_threads=1))
        wanted = _bus(values[0], solution.out_qint)
        found = np.zeros(len(wanted), np.uint32)
        library.rtl_stage(
            ctypes.c_void_p(words.ctypes.data),
            ctypes.c_int(stage),
            ctypes.c_int(ports.stages + 2),
            ctypes.c_void_p(found.ctypes.data),
        )
        if not np.array_equal(found, wanted):
            return stage
    return 0


def _bus(values: NDArray[np.float64], intervals: Any) -> NDArray[np.uint32]:
    """Return values as the words of a register, lowest bits first."""
    from da4ml.types import minimal_kif  # noqa: PLC0415 - heavy, and only needed here

    bus, at = 0, 0
    for value, interval in zip(values.tolist(), intervals, strict=True):
        keep, integer, fraction = (int(bit) for bit in minimal_kif(interval))
        width = keep + integer + fraction
        bus |= (round(value * 2.0**fraction) & ((1 << width) - 1)) << at
        at += width
    words = [(bus >> (32 * word)) & 0xFFFFFFFF for word in range((at + 31) // 32)]
    return np.array(words, np.uint32)
