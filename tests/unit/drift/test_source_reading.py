import hashlib
import os
import signal
import subprocess
import sys
import time
import zlib

import awkward as ak
import numpy as np
import psutil
import pytest
import uproot

from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.source import Accepted, Limits, Quarantined, Reader, Waiting
from tests import l1nano

NAME = "run382913_ls0001-0003.root"


@pytest.fixture(scope="module")
def reader():
    with Reader(AXOL1TL_57) as one:
        yield one


@pytest.fixture
def tiny():
    return l1nano.columns(events=6)


def accepted(outcome):
    assert isinstance(outcome, Accepted), outcome
    return outcome.contents


def refused(outcome):
    assert isinstance(outcome, Quarantined), outcome
    return outcome


@pytest.mark.parametrize("codec", l1nano.CODECS)
@pytest.mark.parametrize("storage", ["TTree", "RNTuple"])
def test_every_integer_of_a_file_arrives_whatever_stores_it(reader, tmp_path, storage, codec):
    flat, jagged = l1nano.columns(events=15)
    path = l1nano.write(tmp_path / NAME, flat, jagged, storage=storage, codec=codec)

    contents = accepted(reader.read(path))

    expected = l1nano.features(flat, jagged)
    assert contents.storage == storage
    assert [(one.run, one.lumisection) for one in contents.lumisections] == [(382913, n) for n in (1, 2, 3)]
    assert np.array_equal(np.concatenate([one.features for one in contents.lumisections], axis=1), expected)
    assert all(one.features.flags.c_contiguous and one.features.dtype == np.int16 for one in contents.lumisections)
    assert contents.delivered == {(382913, n): 15 for n in (1, 2, 3)}
    assert contents.menu_bits == {"L1_ZeroBias": 45, "L1_SingleJet35": int(flat["L1_SingleJet35"].sum())}
    assert contents.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for kind, prefix in (("EG", "L1EG"), ("MU", "L1Mu"), ("JET", "L1Jet")):
        pt, eta, phi = (
            np.concatenate([getattr(one.objects[kind], part) for one in contents.lumisections])
            for part in ("pt", "eta", "phi")
        )
        for found, name in zip((pt, eta, phi), l1nano.NAMES[prefix], strict=True):
            assert np.array_equal(found, ak.to_numpy(ak.flatten(jagged[prefix][name])))


def test_an_rntuple_of_records_reads_as_one_of_lists(reader, tmp_path):
    flat, jagged = l1nano.columns(events=5)
    path = l1nano.write(tmp_path / NAME, flat, jagged, storage="RNTuple", nested=True)

    contents = accepted(reader.read(path))

    found = np.concatenate([one.features for one in contents.lumisections], axis=1)
    assert np.array_equal(found, l1nano.features(flat, jagged))


def test_only_the_triggered_bunch_crossing_is_used(reader, tmp_path):
    flat, jagged = l1nano.columns(events=20, with_bx=True)
    path = l1nano.write(tmp_path / NAME, flat, jagged)

    contents = accepted(reader.read(path))

    found = np.concatenate([one.features for one in contents.lumisections], axis=1)
    assert np.array_equal(found, l1nano.features(flat, jagged))


def test_events_out_of_order_are_sorted_into_their_lumisections(reader, tmp_path):
    flat, jagged = l1nano.columns(events=10)
    shuffle = np.random.default_rng(2).permutation(30)
    flat = {name: values[shuffle] for name, values in flat.items()}
    jagged = {prefix: {name: values[shuffle] for name, values in parts.items()} for prefix, parts in jagged.items()}
    path = l1nano.write(tmp_path / NAME, flat, jagged)

    contents = accepted(reader.read(path))

    expected = l1nano.features(flat, jagged)
    for one in contents.lumisections:
        assert np.array_equal(one.features, expected[:, flat["luminosityBlock"] == one.lumisection])


def test_a_listed_lumisection_without_events_is_delivered_empty(reader, tmp_path):
    flat, jagged = l1nano.columns(lumisections=(1, 3), events=4)
    blocks = {"run": np.full(3, 382913, np.uint32), "luminosityBlock": np.array([1, 2, 3], np.uint32)}
    path = l1nano.write(tmp_path / NAME, flat, jagged, blocks=blocks)

    contents = accepted(reader.read(path))

    assert contents.delivered == {(382913, 1): 4, (382913, 2): 0, (382913, 3): 4}
    assert contents.lumisections[1].features.shape == (57, 0)
    assert len(contents.lumisections[1].objects["JET"].pt) == 0


def test_the_highest_cycle_of_a_table_is_read(reader, tmp_path):
    path = tmp_path / NAME
    flat, jagged = l1nano.columns(events=2)
    more, lists = l1nano.columns(events=5, seed=3)
    with uproot.recreate(path) as file:
        l1nano._tree(file, "Events", flat, jagged, nested=False)
        l1nano._tree(file, "Events", more, lists, nested=False)

    contents = accepted(reader.read(path))

    assert sum(contents.delivered.values()) == 15


def test_simulation_is_said_to_be_simulation(reader, tmp_path):
    flat, jagged = l1nano.columns(run=1, events=2)
    contents = accepted(reader.read(l1nano.write(tmp_path / "mc.root", flat, jagged)))

    assert any("simulation" in note for note in contents.notes)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda flat, jagged: flat.pop("luminosityBlock"), "missing_lumisection"),
        (lambda flat, jagged: flat.pop("event"), "missing_branch"),
        (lambda flat, jagged: jagged["L1Mu"].pop("hwEtaAtVtx"), "missing_branch"),
        (
            lambda flat, jagged: [parts.pop(name) for parts in jagged.values() for name in list(parts)[:-1]],
            "missing_branch",
        ),
        (lambda flat, jagged: flat.update(run=flat["run"] + 1), "run_mismatch"),
        (lambda flat, jagged: flat.update(run=flat["run"] * 0), "out_of_range"),
        (lambda flat, jagged: flat.update(luminosityBlock=flat["luminosityBlock"] + 1), "lumisection_outside_block"),
        (lambda flat, jagged: flat.update(luminosityBlock=flat["luminosityBlock"] * 0), "out_of_range"),
        (lambda flat, jagged: flat.update(event=flat["event"] // 200), "duplicate_events"),
        (lambda flat, jagged: flat.update(run=flat["run"].astype(np.float32)), "wrong_type"),
        (lambda flat, jagged: jagged["L1Jet"].update(hwPt=jagged["L1Jet"]["hwPt"] + np.int16(2047)), "out_of_range"),
        (lambda flat, jagged: jagged["L1EG"].update(hwEta=jagged["L1EG"]["hwEta"] * np.int16(2)), "out_of_range"),
        (
            lambda flat, jagged: jagged["L1Mu"].update(hwPhiAtVtx=jagged["L1Mu"]["hwPhiAtVtx"] + np.int16(576)),
            "out_of_range",
        ),
        (lambda flat, jagged: jagged["L1Jet"].update(hwPt=ak.sort(jagged["L1Jet"]["hwPt"])), "out_of_order"),
        (
            lambda flat, jagged: jagged["L1EtSum"].update(etSumType=jagged["L1EtSum"]["etSumType"] * 0 + 2),
            "too_many_objects",
        ),
        (lambda flat, jagged: jagged["L1EtSum"].update(hwPt=jagged["L1EtSum"]["hwPt"] * 1.0), "wrong_type"),
    ],
)
def test_what_no_detector_sends_is_refused_by_name(reader, tmp_path, tiny, change, code):
    flat, jagged = tiny
    change(flat, jagged)
    path = l1nano.write(tmp_path / NAME, flat, jagged)

    outcome = refused(reader.read(path))

    assert outcome.code == code
    assert NAME in outcome.reason


def test_counts_that_disagree_are_refused(reader, tmp_path, tiny):
    flat, jagged = tiny
    jagged["L1Jet"]["hwPhi"] = jagged["L1Jet"]["hwPhi"][:, :3]
    jagged["L1Jet"]["hwEta"] = jagged["L1Jet"]["hwEta"][:, :4]
    path = l1nano.write(tmp_path / NAME, flat, jagged, storage="RNTuple")

    assert refused(reader.read(path)).code == "counts_mismatch"


def test_a_lumisection_that_its_own_list_lacks_is_refused(reader, tmp_path, tiny):
    blocks = {"run": np.array([382913], np.uint32), "luminosityBlock": np.array([1], np.uint32)}
    path = l1nano.write(tmp_path / NAME, *tiny, blocks=blocks)

    assert refused(reader.read(path)).code == "lumisections_disagree"


def test_missing_trigger_bits_are_normal(reader, tmp_path, tiny):
    flat, jagged = tiny
    del flat["L1_ZeroBias"], flat["L1_SingleJet35"]

    assert accepted(reader.read(l1nano.write(tmp_path / NAME, flat, jagged))).menu_bits == {}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", Waiting),
        (bytes(5000), Waiting),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", Quarantined),
        (b"root" + bytes(300), Waiting),
    ],
)
def test_what_is_no_root_file_is_waited_for_or_refused(reader, tmp_path, content, kind):
    path = tmp_path / NAME
    path.write_bytes(content)

    assert isinstance(reader.read(path), kind)


def test_a_file_without_objects_is_not_ready(reader, tmp_path):
    path = tmp_path / NAME
    with uproot.recreate(path):
        pass

    outcome = reader.read(path)

    assert isinstance(outcome, Waiting)
    assert "not closed" in outcome.reason


def test_a_file_that_is_gone_is_waited_for(reader, tmp_path):
    assert isinstance(reader.read(tmp_path / NAME), Waiting)


@pytest.mark.parametrize("kind", ["sha256sum", "digits", "adler32", "stem"])
def test_a_right_checksum_is_accepted_and_a_wrong_one_refused(reader, tmp_path, tiny, kind):
    path = l1nano.write(tmp_path / NAME, *tiny)
    content = path.read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    name, text = {
        "sha256sum": (f"{NAME}.sha256", f"{sha}  {NAME}\n"),
        "digits": (f"{NAME}.sha256", sha.upper()),
        "adler32": (f"{NAME}.adler32", f"{zlib.adler32(content):08x} {NAME}"),
        "stem": (f"{path.stem}.sha256", f"{sha} *{NAME}\n"),
    }[kind]
    (tmp_path / name).write_text(text)
    right = reader.read(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    wrong = reader.read(path)

    accepted(right)
    assert refused(wrong).code == "checksum_mismatch"


@pytest.mark.parametrize("text", ["", "no digits here", "abc", f"{'0' * 64}  run1_ls0001-0002.root"])
def test_a_sidecar_that_proves_nothing_is_refused(reader, tmp_path, tiny, text):
    path = l1nano.write(tmp_path / NAME, *tiny)
    path.with_name(NAME + ".sha256").write_text(text)

    assert refused(reader.read(path)).code == "sidecar_unreadable"


def test_a_required_sidecar_that_is_missing_is_a_reason(tmp_path, tiny):
    path = l1nano.write(tmp_path / NAME, *tiny)

    with Reader(AXOL1TL_57, require_sidecar=True) as strict:
        assert refused(strict.read(path)).code == "sidecar_missing"


def test_limits_end_the_reading_and_not_the_reader(tmp_path):
    flat, jagged = l1nano.columns(events=20_000)
    big = l1nano.write(tmp_path / NAME, flat, jagged)
    small = l1nano.write(tmp_path / "small.root", *l1nano.columns(events=1))
    outcomes = []
    for limits in (Limits(wall_s=0.01), Limits(memory_mib=1), Limits(events=100)):
        with Reader(AXOL1TL_57, limits) as one:
            outcomes.append(refused(one.read(big)).code)

    with Reader(AXOL1TL_57) as one:
        accepted(one.read(small))
    assert outcomes[0] == "wall_limit"
    assert outcomes[1] in {"memory_limit", "unreadable", "reader_crashed"}
    assert outcomes[2] == "too_many_events"


def test_a_reader_whose_child_was_killed_starts_another(tmp_path, tiny):
    path = l1nano.write(tmp_path / NAME, *tiny)
    with Reader(AXOL1TL_57) as one:
        accepted(one.read(path))
        os.kill(one.child_pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(one.child_pid)] if one.child_pid else [], timeout=5)

        accepted(one.read(path))
        assert one.starts == 2


def test_the_child_dies_with_its_parent(tmp_path):
    code = (
        "import time; from pathlib import Path; from drift.schema import AXOL1TL_57; from drift.source import Reader\n"
        "one = Reader(AXOL1TL_57); one.read(Path('/nowhere.root')); print(one.child_pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        alive = psutil.pid_exists(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while (
        psutil.pid_exists(child)
        and psutil.Process(child).status() != psutil.STATUS_ZOMBIE
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)

    assert alive
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_the_reading_child_refuses_to_run_without_assertions():
    answer = subprocess.run(
        [sys.executable, "-O", "-m", "drift.source.child", "/tmp"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 2
    assert "assertions" in answer.stderr


def test_reading_costs_the_caller_no_uproot():
    modules = "drift.source, drift.source.folder, drift.source.xrootd, drift.conditions"
    code = f"import sys, {modules}; print('uproot' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"


def test_any_nanoaod_can_be_counted_by_its_bits(tmp_path, tiny):
    flat, _ = tiny
    del flat["event"]
    path = l1nano.write(tmp_path / "nano.root", flat, {})

    with Reader(NANOAOD_BITS) as one:
        contents = accepted(one.read(path))

    assert contents.lumisections[0].features.shape == (0, 6)
    assert contents.menu_bits["L1_ZeroBias"] == 18
