"""An emulator library of strangers becomes a champion: called through its interface, held at arm's length."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain import adopted, bundle, champion
from retrain.bridge import ask
from retrain.errors import BuildError, BundleAlteredError, ContractError, EmulatorFailedError
from retrain.firmware import adopt as adopting
from retrain.firmware.adopt import adopt

STRANGER = Path(__file__).with_name("stranger.cpp")
V4 = adopted.KNOWN["cmssw-v4"]
REMEMBERS, ABORTS, HANGS, REFUSES, TALKS, LEAVES, EMPTY = range(1, 8)


def compiled(folder, mode=0, form=0):
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"stranger{mode}{form}.so"
    flags = [
        "-std=c++17",
        "-O1",
        "-w",
        "-shared",
        "-fPIC",
        f"-DMODE={mode}",
        f"-DFORM={form}",
        f"-I{adopting._ap_types()}",
    ]
    subprocess.run(["g++", *flags, str(STRANGER), "-o", str(out)], check=True, timeout=120)
    return out


def expected(features):
    """Return what the stranger computes: the sum of all pt in GeV, in sixteenths, in 18 bits that wrap."""
    return (features[0::3].astype(np.int64).sum(axis=0) * 8) % 2**18


@pytest.fixture(scope="module")
def world(tmp_path_factory, contract, events):
    folder = tmp_path_factory.mktemp("adopted")
    return folder, adopt(compiled(folder), contract, V4, threshold=3541, out=folder / "bundles", events=events)


@pytest.fixture(scope="module")
def bridge(world):
    return world[1].path / adopted.BRIDGE


def test_an_adopted_library_scores_events_through_its_interface(world, contract, events):
    found = champion.load(world[1].path)

    assert np.array_equal(found.scores(events), expected(events))
    assert found.scores(events).dtype == np.int64
    assert (found.threshold, found.contract.digest) == (3541, contract.digest)
    assert found.digest == found.path.name == champion.verify(found.path)
    assert found.scores(events[:, :0]).shape == (0,)


@pytest.mark.parametrize(("form", "name", "offset"), [(1, "cmssw", 0), (2, "score", 1600)])
def test_the_other_result_types_of_cmssw_are_read_too_and_signs_are_kept(world, contract, events, form, name, offset):
    folder = world[0] / name
    few = events[:, :500]

    found = adopt(compiled(folder, form=form), contract, adopted.KNOWN[name], threshold=1, out=folder / "bundles")

    wanted = np.clip(expected(few) - offset, -(2**17), 2**17 - 1) if offset else expected(few)
    assert np.array_equal(found.scores(few), wanted)
    assert (wanted.min() < 0) == (offset > 0)


def test_it_says_what_it_lacks_and_what_it_was_asked(world):
    found = world[1]
    asked = bundle.read_json(found.path, "evidence/preflight.json")

    assert "no weights and no QONNX graph" in found.manifest["lacks"][0]
    assert asked["probes"] == 512
    assert asked["distinct_scores"] > 100
    assert asked["events"] == 6000


def test_adopting_the_same_library_again_is_the_same_champion(world, contract, events):
    folder, found = world

    again = adopt(compiled(folder), contract, V4, threshold=3541, out=folder / "bundles", events=events)

    assert again == found
    assert [path.name for path in (folder / "bundles").iterdir()] == [found.digest]


def test_nothing_of_this_machine_is_in_the_folder(world):
    private = [str(world[0]).encode(), str(adopting._ap_types()).encode()]
    files = [path for path in world[1].path.rglob("*") if path.is_file() and path.name != "library.so"]

    assert [path.name for path in files if any(one in path.read_bytes() for one in private)] == []


@pytest.mark.parametrize(
    "name", ["emulator/library.so", "emulator/bridge", "contract.json", "interface.json", "evidence/preflight.json"]
)
def test_one_changed_byte_is_refused_by_name(world, tmp_path, name):
    copy = tmp_path / world[1].digest
    shutil.copytree(world[1].path, copy)
    path = copy / name
    path.chmod(0o755)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    with pytest.raises(BundleAlteredError, match=name):
        champion.load(copy)


def test_a_bundle_is_not_an_adopted_library_and_is_still_loaded(sealed, world):
    assert isinstance(champion.load(sealed.path), bundle.Bundle)
    with pytest.raises(BundleAlteredError, match="not one of format retrigger-adopted"):
        adopted.load(sealed.path)
    with pytest.raises(BundleAlteredError, match="not one of format retrigger-bundle"):
        bundle.load(world[1].path)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (ABORTS, "was ended by signal 6"),
        (REFUSES, "refused an event: I only take AXOL1TL events"),
        (LEAVES, "gave 0 scores for 5 events"),
        (EMPTY, "cannot be loaded: .*create_model"),
    ],
)
def test_a_library_that_misbehaves_is_one_error_and_not_ours(world, bridge, events, mode, words):
    with pytest.raises(EmulatorFailedError, match=words):
        ask(bridge, compiled(world[0] / "bad", mode), events[:, :5])


def test_a_library_that_hangs_is_ended(world, bridge, events):
    with pytest.raises(EmulatorFailedError, match=r"took longer than 1 s|signal"):
        ask(bridge, compiled(world[0] / "bad", HANGS), events[:, :5], start_seconds=1.0)


def test_what_a_library_prints_is_no_score(world, bridge, events):
    found = ask(bridge, compiled(world[0] / "bad", TALKS), events[:, :30])

    assert np.array_equal(found, expected(events[:, :30]))


def test_a_library_that_remembers_events_is_not_adopted(world, contract, tmp_path):
    library = compiled(world[0] / "bad", REMEMBERS)

    with pytest.raises(EmulatorFailedError, match="differently in another order"):
        adopt(library, contract, V4, threshold=1, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_result_type_than_the_librarys_is_not_adopted(world, contract, tmp_path):
    with pytest.raises(EmulatorFailedError, match="refused an event"):
        adopt(world[1].path / adopted.LIBRARY, contract, adopted.KNOWN["score"], threshold=1, out=tmp_path)


def test_scales_that_contradict_their_types_or_the_events_are_not_adopted(world, contract, events, tmp_path):
    library = world[1].path / adopted.LIBRARY
    inputs = tuple(replace(one, shift=62) for one in contract.inputs)
    doubled = tuple(replace(one, offset=2 * one.offset) if one.quantity == "pt" else one for one in contract.inputs)

    with pytest.raises(ContractError, match=r"57 findings|58 findings|shift: found 62"):
        adopt(library, replace(contract, inputs=inputs), V4, threshold=1, out=tmp_path)
    with pytest.raises(ContractError, match="nothing was adopted"):
        adopt(library, replace(contract, inputs=doubled), V4, threshold=1, out=tmp_path, events=events)
    with pytest.raises(ContractError, match="the contract's port is"):
        adopt(library, contract, replace(V4, port="ap_fixed<16,13>"), threshold=1, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_library_is_told(contract, tmp_path):
    (tmp_path / "text.so").write_text("not a library")

    with pytest.raises(BuildError, match=r"name the \.so itself"):
        adopt(tmp_path, contract, V4, threshold=1, out=tmp_path / "out")
    with pytest.raises(EmulatorFailedError, match="cannot be loaded"):
        adopt(tmp_path / "text.so", contract, V4, threshold=1, out=tmp_path / "out")


def test_a_champion_without_its_bridge_says_so(world, events, tmp_path):
    with pytest.raises(EmulatorFailedError, match="cannot be started"):
        ask(tmp_path / "nothing", world[1].path / adopted.LIBRARY, events[:, :2])


@pytest.mark.parametrize("given", [{"port": "ap_fixed<18,13>"}, {**vars(V4), "score": "double"}])
def test_an_interface_of_another_form_is_refused(given):
    with pytest.raises(ContractError):
        adopted.Interface.from_json(given)


def test_interfaces_are_written_as_cpp_types():
    assert V4.result == "std::pair<std::array<ap_fixed<10,7,AP_RND_CONV,AP_SAT>,8>,ap_ufixed<18,14>>"
    assert adopted.KNOWN["cmssw"].result == "std::pair<ap_fixed<18,14,AP_RND_CONV,AP_SAT>,ap_ufixed<18,14>>"
    assert adopted.KNOWN["score"].result == "ap_fixed<18,14,AP_RND_CONV,AP_SAT>"
    assert adopted.Interface.from_json(json.loads(json.dumps(vars(V4)))) == V4
