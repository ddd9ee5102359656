"""What the module costs: two open counts, and a vendor's report where there is one."""

import json
from pathlib import Path

import pytest

from retrain.contract import Budget, Contract
from retrain.errors import BuildError, TooSlowError
from retrain.firmware import logic, resources, rtl, synthesis, vendor
from retrain.firmware.commands import run_all
from retrain.firmware.rtl import Cost
from tests.unit.retrain.conftest import small_program

GOLDEN = Path(__file__).parents[2] / "golden" / "firmware"

UTILISATION = """\
| Site Type                  | Used  | Fixed | Prohibited | Available | Util% |
| CLB LUTs*                  | 21034 |     0 |          0 |   1728000 |  1.22 |
|   LUT as Logic             | 21034 |     0 |          0 |   1728000 |  1.22 |
| CLB Registers              |  9911 |     0 |          0 |   3456000 |  0.29 |
| DSPs                       |     0 |     0 |          0 |     12288 |  0.00 |
"""
TIMING = """\
| Tool Version : Vivado v.2024.1 (lin64) Build v2024.1
| Design Timing Summary
    WNS(ns)      TNS(ns)  TNS Failing Endpoints
    -------      -------  ---------------------
      {slack}      0.000                      0
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """RTL of a network so small that a synthesiser is done with it in seconds."""
    folder = tmp_path_factory.mktemp("a tiny one")
    contract = Contract.from_json(json.loads((GOLDEN / "contract.json").read_bytes()))
    cost = rtl.write(logic.trace(contract, small_program(1, (2,), 2)), contract, folder / "rtl")
    return folder / "rtl", cost


def test_yosys_and_da4ml_agree_on_the_cost_to_a_quarter(tiny, tmp_path):
    folder, cost = tiny

    cells = synthesis.synthesise(folder, tmp_path)

    assert cells.dsp == 0
    assert 0.75 < cells.lut / cost.lut < 1.35
    assert 0.75 < cells.ff / cost.ff < 1.35
    assert "estimate" in cells.status


def test_a_second_count_that_took_too_long_leaves_the_gate_open():
    from retrain.gates.resources import resources as gate

    found = resources.estimate(Budget(), Cost(1000, 100, 9), 9, "python took longer than 1800 s", None)

    verdict, summary, _ = gate(vars(found), vars(Budget()))
    assert verdict == "inconclusive"
    assert "1800 s" in summary


def test_a_report_with_unmapped_logic_is_refused():
    with pytest.raises(BuildError, match="unmapped"):
        synthesis.cells({"design": {"num_cells_by_type": {"LUT6": 5, "$add": 1}}})
    with pytest.raises(BuildError, match="no cell counts"):
        synthesis.cells({"modules": {}})


def test_the_larger_count_is_held_against_the_budget():
    cells = synthesis.cells({"design": {"num_cells_by_type": {"LUT6": 900, "LUT2": 300, "FDRE": 80}}})

    found = resources.estimate(Budget(), Cost(1000, 100, 9), 9, cells, None)

    assert (found.lut, found.ff, found.dsp) == (1200, 100, 0)
    assert found.status.startswith("estimate")
    assert found.tools["vivado"] == "not run: the tool is not on PATH"


def test_latency_is_told_in_crossings_of_the_slots_clock():
    assert resources.ticks_of(12, 240.0) == 2
    assert resources.ticks_of(13, 240.0) == 3
    assert resources.ticks_of(1, 360.0) == 1


def test_a_routed_design_speaks_for_itself():
    routed = vendor.read(UTILISATION, TIMING.format(slack="0.113"))

    found = resources.estimate(Budget(), Cost(40_000, 12_000, 9), 9, "not run", routed)

    assert (found.lut, found.ff, found.dsp) == (21_034, 9_911, 0)
    assert "timing closed" in found.status
    assert "Vivado 2024.1" in found.status
    assert "NOT CLOSED" in vendor.read(UTILISATION, TIMING.format(slack="-0.201")).status


def test_a_report_of_another_form_is_refused():
    with pytest.raises(BuildError, match="CLB Registers"):
        vendor.read(UTILISATION.replace("CLB Registers", "Registers"), TIMING)
    with pytest.raises(BuildError, match="WNS"):
        vendor.read(UTILISATION, "nothing")


def test_without_the_vendors_tool_nothing_is_routed(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert vendor.route(tiny[0], tmp_path / "work") is None


def test_a_tool_that_fails_is_told_with_its_own_words(tmp_path):
    with pytest.raises(BuildError, match="so it is"):
        run_all([["sh", "-c", "echo so it is >&2; exit 3"]], tmp_path)
    with pytest.raises(BuildError, match="cannot be started"):
        run_all([["no-such-tool"]], tmp_path)
    with pytest.raises(TooSlowError, match="longer than"):
        run_all([["sleep", "30"]], tmp_path, limit_seconds=0.3)
    assert list(tmp_path.iterdir()) == []


def test_tools_run_together_and_tell_how_far_they_are(tmp_path):
    seen = []

    said = run_all([["echo", "one"], ["echo", "two"]], tmp_path, lambda part, _: seen.append(part), at_once=2)

    assert said == "one\ntwo\n"
    assert seen[-1] == 1.0
