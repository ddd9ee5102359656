"""The module as Verilog: exact, one event a clock, and opened where it is wrong."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain.contract import Contract
from retrain.errors import BuildError, ExportError
from retrain.firmware import logic, qonnx, rtl, rtl_inside
from retrain.firmware.vectors import assemble
from retrain.fixed_point import FixedPoint
from retrain.program import Requantise
from tests.unit.retrain.conftest import small_program

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"

# onnx warns about its own deprecations while it is imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def network():
    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    return contract, qonnx.read(GOLDEN / "network.qonnx", contract)


@pytest.fixture(scope="module")
def module(network, tmp_path_factory):
    """The golden network as RTL, verilated."""
    contract, program = network
    folder = tmp_path_factory.mktemp("module")
    cost = rtl.write(logic.trace(contract, program), contract, folder / "rtl")
    return folder / "rtl", rtl.verilate(folder / "rtl", folder / "simulator"), cost


def simulation(network, module):
    return rtl.Simulation(module[1], *network, rtl.ports_of(module[0]))


def answers(contract, program, features):
    latent = program.latent_raw(np.ascontiguousarray(contract.normalised_raw(features).T))
    return latent, program.score_of(latent)


def interpreted(contract, program, features):
    values = np.ascontiguousarray(contract.port_raw(features).T * 2.0 ** -contract.type_of("port").fraction)
    out = logic.trace(contract, program).predict(values, n_threads=1)
    return out[:, :-1] * 2.0**program.latent.fraction, out[:, -1] * 2.0**program.score.fraction


def test_a_new_event_every_clock_gives_the_integers_of_the_program(network, module, events):
    vectors = assemble(*network, events, 20_000, np.random.default_rng(3))

    latent, score = simulation(network, module).run(vectors.features)

    expected = answers(*network, vectors.features)
    assert np.array_equal(latent, expected[0])
    assert np.array_equal(score, expected[1])
    assert vectors.features.shape[1] >= 20_000


def test_the_answer_comes_as_many_clocks_later_as_there_are_stages(network, module, events):
    _, score = answers(*network, events)
    two = [0, int(np.flatnonzero(score != score[0])[0])]

    assert simulation(network, module).latency_cycles(np.ascontiguousarray(events[:, two])) == module[2].stages


def test_two_events_with_one_answer_tell_no_latency(network, module, events):
    with pytest.raises(BuildError, match="same answer"):
        simulation(network, module).latency_cycles(np.ascontiguousarray(events[:, [0, 0]]))


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("network_input", "ap_fixed<8,6,AP_RND_CONV,AP_SAT>"),
        ("hidden", "ap_ufixed<8,4,AP_RND_CONV,AP_SAT>"),
        ("latent", "ap_fixed<10,6,AP_RND_CONV,AP_SAT>"),
        ("latent", "ap_fixed<10,6,AP_TRN,AP_WRAP>"),
        ("score", "ap_ufixed<18,14,AP_RND_CONV,AP_SAT>"),
    ],
)
def test_every_rounding_and_overflow_of_a_contract_is_followed(contract, events, field, kind):
    program, parsed = small_program(5), FixedPoint.parse(kind)
    casts = [layer for layer in program.layers if isinstance(layer, Requantise)]
    chosen = {"network_input": casts[:1], "hidden": casts[1:-1], "latent": casts[-1:], "score": []}[field]
    layers = tuple(replace(layer, kind=parsed) if layer in chosen else layer for layer in program.layers)
    program = replace(program, layers=layers, score=parsed if field == "score" else program.score)
    vectors = assemble(contract, program, events, 4000, np.random.default_rng(4)).features

    latent, score = interpreted(contract, program, vectors)

    expected = answers(contract, program, vectors)
    assert np.array_equal(latent, expected[0])
    assert np.array_equal(score, expected[1])


def test_negative_shifts_and_fractional_offsets_are_followed(contract, events):
    inputs = tuple(replace(port, shift=port.shift - 3, offset=port.offset + 0.5) for port in contract.inputs)
    other = replace(contract, inputs=inputs, offset_type="ap_fixed<12,10>")
    program = small_program(6)

    latent, score = interpreted(other, program, events)

    expected = answers(other, program, events)
    assert np.array_equal(latent, expected[0])
    assert np.array_equal(score, expected[1])


def test_a_rounding_that_cannot_be_followed_is_refused(contract):
    program = small_program()
    last = replace(program.layers[-1], kind=replace(program.latent, rounding="AP_RND_INF"))

    with pytest.raises(ExportError, match="AP_RND_CONV"):
        logic.trace(contract, replace(program, layers=(*program.layers[:-1], last)))


def test_equal_programs_give_equal_verilog_without_stamp_or_path(network, module, tmp_path):
    contract, program = network

    rtl.write(logic.trace(contract, program), contract, tmp_path / "again")

    first = {path.relative_to(module[0]): path.read_bytes() for path in module[0].rglob("*") if path.is_file()}
    again = {path.relative_to(tmp_path / "again"): path.read_bytes() for path in (tmp_path / "again").rglob("*.*")}
    assert first == again
    assert all(str(tmp_path).encode() not in text for text in again.values())


def test_a_wrong_register_in_the_verilog_is_found_and_located(network, module, events, tmp_path):
    shutil.copytree(module[0], tmp_path / "rtl")
    stage = tmp_path / "rtl" / "src" / "network_stage1.v"
    text = stage.read_text()
    drive = re.search(r"assign model_out\[\d+:\d+\] = v\d+", text).group(0)
    stage.write_text(text.replace(drive, drive.replace("= ", "= ~"), 1))
    wrong = rtl.verilate(tmp_path / "rtl", tmp_path / "simulator")

    latent, _ = rtl.Simulation(wrong, *network, rtl.ports_of(tmp_path / "rtl")).run(events)

    assert (latent != answers(*network, events)[0]).any()
    place = rtl_inside.first_difference(*network, tmp_path / "rtl", tmp_path / "opened", events[:, :1])
    assert place == ("verilog", "register stage 2")


def test_a_trace_of_other_weights_is_located_by_its_layer(network, module, events, tmp_path):
    contract, program = network
    layers = list(program.layers)
    at = next(index for index, layer in enumerate(layers) if layer.name == "dense1")
    layers[at] = replace(layers[at], bias=layers[at].bias + 1)
    traced = logic.traces(contract, replace(program, layers=tuple(layers)))

    place = rtl_inside.first_difference(contract, program, module[0], tmp_path / "opened", events[:, :1], traced=traced)

    assert place == ("dense1", "da4ml's trace")


def test_a_module_for_other_buses_is_refused(network, module, tmp_path):
    contract, program = network
    ports = rtl.ports_of(module[0])

    with pytest.raises(BuildError, match="outputs"):
        rtl.Simulation(module[1], contract, program, replace(ports, outputs=ports.outputs[1:]))
    with pytest.raises(BuildError, match="write the RTL again"):
        rtl.ports_of(tmp_path)
