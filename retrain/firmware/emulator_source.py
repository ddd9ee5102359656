"""The C++ around the network, filled in from the contract.

The text is in `emulator.cpp.in`, the interface that CMSSW calls in `hls4ml_emulator.h`; here are only the types and
constants that differ between contracts.  Nothing here compiles.
"""

import string
from importlib.resources import files

from retrain.contract import Contract
from retrain.firmware.hls import NAMESPACE, TOP, Sources
from retrain.fixed_point import FixedPoint
from retrain.program import IntegerProgram

HEADER = "hls4ml_emulator.h"
CMSSW_SCORE = "ap_ufixed<18,14>"
CMSSW_LATENT = "ap_fixed<10,7,AP_RND_CONV,AP_SAT>"
CMSSW_SINGLE = "ap_fixed<18,14,AP_RND_CONV,AP_SAT>"


class _Template(string.Template):
    delimiter = "@"


def header() -> str:
    """Return the interface header that goes beside the library: what a caller in C++ includes."""
    return files("retrain.firmware").joinpath(HEADER).read_text(encoding="utf-8")


def fill(template: str, /, **values: object) -> str:
    """Return one of the C++ texts beside this module with its ``@{names}`` filled in."""
    return _Template(files("retrain.firmware").joinpath(template).read_text(encoding="utf-8")).substitute(values)


def result_types(contract: Contract, n_latent: int) -> tuple[str, ...]:
    """Return the C++ types that ``read_result`` fills through a pointer, the exact one first.

    The first holds latents and score as they are.  The others are those that CMSSW's condition asks for, so that it
    need not be changed: their score is exact; latents are rounded to its type.  They are offered only when the score
    fits CMSSW's.

    Args:
        contract: With the types of latent and score.
        n_latent: Number of latent values.

    References:
        cms-sw/cmssw, L1Trigger/L1TGlobal/src/AXOL1TLCondition.cc: the second form for v3 and v4, the third otherwise.
    """
    exact = f"std::pair<std::array<{contract.latent},{n_latent}>,{contract.score}>"
    score, theirs = contract.type_of("score"), FixedPoint.parse(CMSSW_SCORE)
    if score.integer > theirs.integer or score.fraction > theirs.fraction:
        return (exact,)
    return (
        exact,
        f"std::pair<std::array<{CMSSW_LATENT},{n_latent}>,{CMSSW_SCORE}>",
        f"std::pair<{CMSSW_SINGLE},{CMSSW_SCORE}>",
    )


def source(contract: Contract, program: IntegerProgram, sources: Sources) -> str:
    """Return the C++ that surrounds the network: normalisation before it, score after it, and both interfaces."""
    latent, port = program.latent, program.port
    n_latent = sources.links[-1].width
    grow = max(n_latent - 1, 1).bit_length()
    wide_fraction = max(port.fraction, 1)
    results = result_types(contract, n_latent)
    return fill(
        "emulator.cpp.in",
        name=_quotable(contract.name),
        top=TOP,
        namespace=NAMESPACE,
        n_inputs=len(contract.inputs),
        n_latent=n_latent,
        port=contract.port,
        offset_type=contract.offset_type,
        shift_type=contract.shift_type,
        score=contract.score,
        latent=contract.latent,
        wide=17 + wide_fraction,
        wide_integer=17,
        sum_width=2 * latent.width + grow,
        sum_integer=2 * latent.integer + grow,
        offsets=", ".join(repr(one.offset) for one in contract.inputs),
        shifts=", ".join(str(one.shift) for one in contract.inputs),
        halved=", ".join(str(one.halved).lower() for one in contract.inputs),
        reads=" || ".join(f"give(result, static_cast<{one} *>(nullptr))" for one in results),
        results="a pointer to " + " or ".join(results),
        latent_top=latent.width - 1,
        latent_bits=latent.width,
        latent_signed=str(latent.signed).lower(),
        score_top=program.score.width - 1,
        layer_names=", ".join(f'"{link.name}"' for link in sources.links),
        layer_widths=", ".join(str(link.width) for link in sources.links),
        n_layers=len(sources.links),
    )


def _quotable(name: str) -> str:
    """Return a name that can stand inside a C++ string, whatever a contract is called."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in " ._-") else "_" for letter in name)
