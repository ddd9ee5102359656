"""An emulator library of a running trigger becomes a first champion.

Its bridge is compiled, its scales are held against themselves and against data, it is asked twice whether it answers
an event the same way, and all of it is sealed.  Nothing here says that the library is right.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from retrain import adopted, bundle
from retrain.contract import Contract, Features
from retrain.errors import BuildError, ContractError, EmulatorFailedError
from retrain.firmware.commands import need_compiler, run_all
from retrain.firmware.emulator_source import HEADER, fill, header
from retrain.firmware.vectors import limits
from retrain.fixed_point import FixedPoint
from retrain.preflight import check_contract, check_structure

PROBES = 512
MAXIMUM_LIBRARY_BYTES = 256 * 2**20
_FLAGS = ("-std=c++17", "-O2", "-w", "-frandom-seed=retrigger", "-Wl,--build-id=none", "-rdynamic")


def adopt(
    library: Path,
    contract: Contract,
    interface: adopted.Interface,
    *,
    threshold: int,
    out: Path,
    events: Features | None = None,
) -> adopted.Adopted:
    """Return the sealed champion made from a library; adopting the same again returns what is there.

    Args:
        library: A shared object with ``create_model`` and ``destroy_model``.
        contract: The socket with the library's scales, named after the slot.
        interface: The C++ types by which the library is called.
        threshold: In integer units of the score.
        out: Where bundles are kept.
        events: Zero-bias events, shape ``(n_inputs, n_events)``, to hold the scales against; None leaves that out.

    Raises:
        ContractError: The scales contradict their types or the events, or the port is another.
        BuildError: The bridge cannot be compiled.
        EmulatorFailedError: The library crashes, hangs, or answers one event in two ways.
    """
    if interface.port != contract.port:
        raise ContractError(f"the library is given {interface.port}, the contract's port is {contract.port}")
    findings = check_structure(contract) if events is None else check_contract(contract, events)
    if findings:
        raise ContractError(f"the scales have {len(findings)} findings, first {findings[0]}; nothing was adopted")
    if not library.is_file() or library.stat().st_size > MAXIMUM_LIBRARY_BYTES:
        raise BuildError(f"{library} is no file of at most {MAXIMUM_LIBRARY_BYTES} bytes; name the .so itself")
    staging = out / f".adopting-{contract.digest[:16]}"
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "emulator").mkdir(parents=True)
    try:
        shutil.copyfile(library, staging / adopted.LIBRARY)
        build_bridge(staging, contract, interface)
        bundle.write_json(staging / adopted.CONTRACT, contract.to_json())
        adopted.write_interface(staging, interface)
        evidence = _probe(staging, contract, events)
        preflight = {"findings": [], "events": 0 if events is None else int(events.shape[1]), **evidence}
        bundle.write_json(staging / "evidence" / "preflight.json", preflight)
        return adopted.seal(staging, out, contract, threshold)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def build_bridge(folder: Path, contract: Contract, interface: adopted.Interface) -> None:
    """Compile the program that runs the library, into ``folder/emulator``.

    Raises:
        BuildError: There is no g++, or it failed.
    """
    kind = FixedPoint.parse(interface.score)
    text = fill(
        "bridge.cpp.in",
        n_inputs=len(contract.inputs),
        halved=", ".join(str(one.halved).lower() for one in contract.inputs),
        port=interface.port,
        result=interface.result,
        score=interface.score,
        score_top=kind.width - 1,
        score_bits=kind.width,
        score_signed=str(kind.signed).lower(),
    )
    (folder / "emulator" / "bridge.cpp").write_text(text, encoding="utf-8")
    (folder / "emulator" / HEADER).write_text(header(), encoding="utf-8")
    types = _ap_types()
    flags = [*_FLAGS, f"-ffile-prefix-map={types}=ap_types", f"-I{types}"]
    command = ["g++", *flags, "emulator/bridge.cpp", "-o", adopted.BRIDGE, "-ldl"]
    need_compiler()
    run_all([command], folder)


def _ap_types() -> Path:
    found = find_spec("hls4ml")
    if found is None or found.origin is None:
        raise BuildError("hls4ml is not installed; its ap_fixed headers are needed to call the library")
    return Path(found.origin).parent / "templates" / "vivado" / "ap_types"


def _probe(folder: Path, contract: Contract, events: Features | None) -> dict[str, int]:
    """Ask for the same events in both orders; a library that remembers gives other answers."""
    sample = _anything(contract) if events is None else np.ascontiguousarray(events[:, :PROBES])
    there = adopted.Adopted(folder, "", {})
    forward, back = there.scores(sample), there.scores(np.ascontiguousarray(sample[:, ::-1]))[::-1]
    wrong = int((forward != back).sum())
    if wrong:
        raise EmulatorFailedError(
            f"the library answers {wrong} of {len(forward)} events differently in another order; it remembers events, "
            "or its result type is not the one that was named"
        )
    return {"probes": len(forward), "distinct_scores": len(set(forward.tolist()))}


def _anything(contract: Contract) -> Features:
    rng = np.random.default_rng(1)
    low, high = limits(contract)
    rows = [
        rng.integers(max(port.low, bottom), min(port.high, top) + 1, PROBES, dtype=np.int16)
        for port, bottom, top in zip(contract.inputs, low, high, strict=True)
    ]
    return np.stack(rows)
