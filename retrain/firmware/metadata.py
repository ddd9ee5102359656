"""What the people who take the emulator into an experiment's software must know about it, as JSON.

It names everything the library was made from by digest; the bundle's manifest names it in turn, so it says nothing
about the bundle.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain import bundle
from retrain.contract import Contract
from retrain.firmware.emulator_source import HEADER, result_types
from retrain.firmware.plain_onnx import HARDWARE, LATENT, OPSET, SCORE, worst_case
from retrain.fixed_point import FixedPoint
from retrain.program import FLOAT32_LIMIT, Dense, IntegerProgram

FORMAT = "retrigger-emulator/1"


def write(folder: Path, contract: Contract, program: IntegerProgram, identity: Mapping[str, Any]) -> None:
    """Write the metadata into a folder that holds everything else of a bundle.

    Args:
        folder: With weights, graphs, sources and library.
        contract: As for `describe`.
        program: As for `describe`.
        identity: ``slot``, ``model``, ``recipe_digest`` and ``threshold`` of the bundle.
    """
    files = bundle.file_digests(folder)
    digests = {
        "weights": files[bundle.WEIGHTS],
        "contract": contract.digest,
        "recipe": identity["recipe_digest"],
        "sources": bundle.sources_digest(files),
        "library": files[bundle.EMULATOR],
        "onnx": files[bundle.PLAIN],
        "qonnx": files["model.qonnx"],
    }
    told = describe(contract, program, threshold=identity["threshold"], identity=identity, digests=digests)
    bundle.write_json(folder / bundle.METADATA, told)


def describe(
    contract: Contract,
    program: IntegerProgram,
    *,
    threshold: int,
    identity: Mapping[str, str],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """Return the metadata of one emulator, as plain JSON values.

    Args:
        contract: Inputs with units, offsets and shifts, and the types.
        program: The network as integers.
        threshold: In integer units of the score.
        identity: ``slot`` and ``model``.
        digests: SHA-256 (hex) of ``weights``, ``contract``, ``recipe``, ``sources``, ``library``, ``onnx``, ``qonnx``.
    """
    n_latent = next(len(one.bias) for one in reversed(program.layers) if isinstance(one, Dense))
    single = worst_case(contract, program) < FLOAT32_LIMIT
    return {
        "format": FORMAT,
        "name": identity["slot"],
        "version": digests["weights"][:12],
        "model": identity["model"],
        "interface": {
            "header": HEADER,
            "class": "hls4mlEmulator::Model",
            "create": "create_model",
            "destroy": "destroy_model",
            "prepare_input": f"pointer to {len(contract.inputs)} values of {contract.port}",
            "read_result": [f"pointer to {one}" for one in result_types(contract, n_latent)],
            "load": "copy the library to NAME.so on LD_LIBRARY_PATH and load it by NAME; it needs no other library",
            "headers": "hls/firmware/ap_types: the caller must be compiled with the same ap_fixed",
        },
        "inputs": [dict(vars(one)) for one in contract.inputs],
        "rule": "prepare_input does network_input((x - offset) >> shift); x is hwPt/2 with its half, hwEta, hwPhi",
        "padding": "absent objects are zeros",
        "types": {
            "port": contract.port,
            "offset": contract.offset_type,
            "shift": contract.shift_type,
            "network_input": contract.network_input,
            "hidden": contract.hidden,
            "latent": contract.latent,
            "score": contract.score,
        },
        "latent_values": n_latent,
        "threshold": _threshold(program.score, threshold),
        "onnx": {
            "file": "model.onnx",
            "opset": OPSET,
            "input": f"{HARDWARE}: float32 (events, {len(contract.inputs)}), hardware integers (hwPt not halved)",
            "outputs": [
                f"{LATENT}: float32 (events, {n_latent}), raw integers of {program.latent}",
                f"{SCORE}: float32 (events, 1), raw integer of {program.score}",
            ],
            "computes_in": "float32" if single else "float64",
        },
        "digests": dict(digests),
    }


def _threshold(score: FixedPoint, threshold: int) -> dict[str, Any]:
    return {
        "integer": threshold,
        "value": threshold * 2.0**-score.fraction,
        "units_per_integer": 2.0**-score.fraction,
        "rule": "an event passes when its integer score is not below the threshold",
    }
