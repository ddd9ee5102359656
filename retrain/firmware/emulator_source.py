"""The C++ around the network, filled in from the contract.

The text is in `emulator.cpp.in`, the interface that CMSSW calls in `hls4ml_emulator.h`; here are only the types and
constants that differ between contracts.  Nothing here compiles.
"""

import string
from importlib.resources import files

from retrain.contract import SUM_OF_SQUARES, Contract
from retrain.firmware.hls import NAMESPACE, TOP, Sources
from retrain.fixed_point import FixedPoint
from retrain.program import IntegerProgram

HEADER = "hls4ml_emulator.h"
CMSSW_SCORE = "ap_ufixed<18,14>"
CMSSW_LATENT = "ap_fixed<10,7,AP_RND_CONV,AP_SAT>"
CMSSW_SINGLE = "ap_fixed<18,14,AP_RND_CONV,AP_SAT>"


_SQUARES = """\
        sum_t sum = 0;
        for (int i = 0; i < n_latent; i++) {
            latent_t value = latent_[i];
            sum += value * value;
        }
"""
_LARGEST = """\
        latent_t largest = latent_[0];
        for (int i = 1; i < n_latent; i++) {
            latent_t value = latent_[i];
            if (value > largest)
                largest = value;
        }
"""


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
    if score.signed or score.integer > theirs.integer or score.fraction > theirs.fraction:
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
        **_score(program, n_latent),
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


def _score(program: IntegerProgram, n_latent: int) -> dict[str, str]:
    """Return the texts that make one score of the latent values, exactly, before the cast to its type."""
    latent, score = program.latent, program.score
    bits = f"            *score |= ~uint32_t(0) << {score.width - 1};\n"
    signed = f"        if (result.second < 0)\n{bits}" if score.signed else ""
    if program.score_rule == SUM_OF_SQUARES:
        grow = max(n_latent - 1, 1).bit_length()
        wide = f"ap_ufixed<{2 * latent.width + grow}, {2 * latent.integer + grow}>"
        return {"sum_type": f"typedef {wide} sum_t;\n", "rule": _SQUARES, "raw_score": "sum", "signed_score": signed}
    return {"sum_type": "", "rule": _LARGEST, "raw_score": "largest", "signed_score": signed}


def _quotable(name: str) -> str:
    """Return a name that can stand inside a C++ string, whatever a contract is called."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in " ._-") else "_" for letter in name)
