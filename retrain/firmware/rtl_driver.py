"""The C++ around a verilated module: feeds its own bus, one event a clock, and reads its own bus.

Nothing here compiles or runs it.
"""

from retrain.firmware.rtl_ports import Ports

_DRIVER = """\
// Feeds one event a clock to the module's own bus and reads its own bus; written by retrain.firmware.rtl.
#include <cstdint>
#include <cstring>
#include <memory>
#include "Vnetwork.h"
#include "verilated.h"

namespace {
constexpr size_t n_in = @N_IN@, n_out = @N_OUT@, stages = @STAGES@;
const int in_bits[n_in] = {@IN_BITS@};
const int out_bits[n_out] = {@OUT_BITS@};
const bool out_signed[n_out] = {@OUT_SIGNED@};

void feed(Vnetwork &dut, const int32_t *values) {
    uint64_t bus[@IN_WORDS@] = {};
    size_t at = 0;
    for (size_t i = 0; i < n_in; at += in_bits[i++]) {
        uint64_t bits = static_cast<uint64_t>(values[i]) & ((uint64_t(1) << in_bits[i]) - 1);
        bus[at / 64] |= bits << (at % 64);
        if (at % 64 + in_bits[i] > 64)
            bus[at / 64 + 1] |= bits >> (64 - at % 64);
    }
    std::memcpy(&dut.model_inp, bus, sizeof(dut.model_inp));
}

void take(const Vnetwork &dut, int32_t *values) {
    uint64_t bus[@OUT_WORDS@] = {};
    std::memcpy(bus, &dut.model_out, sizeof(dut.model_out));
    size_t at = 0;
    for (size_t i = 0; i < n_out; at += out_bits[i++]) {
        uint64_t bits = bus[at / 64] >> (at % 64);
        if (at % 64 + out_bits[i] > 64)
            bits |= bus[at / 64 + 1] << (64 - at % 64);
        bits &= (uint64_t(1) << out_bits[i]) - 1;
        int64_t value = static_cast<int64_t>(bits);
        if (out_signed[i] && (bits >> (out_bits[i] - 1)))
            value -= int64_t(1) << out_bits[i];
        values[i] = static_cast<int32_t>(value);
    }
}

void tick(Vnetwork &dut) {
    dut.clk = 0;
    dut.eval();
    dut.clk = 1;
    dut.eval();
}
} // namespace

extern "C" {
int rtl_inputs() { return n_in; }
int rtl_outputs() { return n_out; }

// A new event every clock; the answer to one is read `stages` clocks after the edge that took it in.
void rtl_run(const int32_t *events, size_t n_events, int32_t *answers) {
    VerilatedContext context;
    Vnetwork dut(&context);
    for (size_t t = 0; t < n_events + stages; t++) {
        if (t < n_events)
            feed(dut, events + t * n_in);
        tick(dut);
        if (t >= stages)
            take(dut, answers + (t - stages) * n_out);
    }
    dut.final();
}

// Clocks from the edge that takes an event in to the one after which its answer stands; -1 beyond `limit`.
int rtl_latency(const int32_t *before, const int32_t *event, const int32_t *answer, int limit) {
    VerilatedContext context;
    Vnetwork dut(&context);
    int32_t now[n_out];
    feed(dut, before);
    for (int t = 0; t < limit; t++)
        tick(dut);
    feed(dut, event);
    for (int t = 0; t < limit; t++) {
        tick(dut);
        take(dut, now);
        if (std::memcmp(now, answer, sizeof(now)) == 0)
            return t;
    }
    return -1;
}
@STAGE_FUNCTION@} // extern "C"
"""

_STAGE_FUNCTION = """
// The words of one register stage, read when the event that was held at the input for `clocks` clocks has filled it.
void rtl_stage(const int32_t *event, int stage, int clocks, uint32_t *words) {
    VerilatedContext context;
    Vnetwork dut(&context);
    feed(dut, event);
    for (int t = 0; t < clocks; t++)
        tick(dut);
    switch (stage) {
@CASES@
    }
}
"""


def driver(ports: Ports, *, inspect: bool = False) -> str:
    """Return the driver's source for a module with these buses.

    Args:
        ports: Of the module.
        inspect: Also offer the registers, which must then have been left visible.
    """
    cases = "\n".join(
        f"    case {stage}: std::memcpy(words, &dut.seen{stage}, sizeof(dut.seen{stage})); break;"
        for stage in range(1, ports.stages)
    )
    words = {
        "N_IN": len(ports.inputs),
        "N_OUT": len(ports.outputs),
        "STAGES": ports.stages,
        "IN_BITS": _listed(ports.inputs),
        "OUT_BITS": _listed(ports.outputs),
        "OUT_SIGNED": _listed(ports.signed),
        "IN_WORDS": sum(ports.inputs) // 64 + 2,
        "OUT_WORDS": sum(ports.outputs) // 64 + 2,
        "STAGE_FUNCTION": _STAGE_FUNCTION.replace("@CASES@", cases) if inspect else "",
    }
    text = _DRIVER
    for name, value in words.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _listed(values: tuple[int, ...] | tuple[bool, ...]) -> str:
    return ", ".join(str(value).lower() for value in values)
