"""Real files and damaged ones: each ends as accepted, waiting or quarantined, and as docs/input.md says."""

import re
from pathlib import Path

import pytest

from benchmarks.damaged_files import DAMAGES, campaign, originals
from drift.schema import AXOL1TL_57, NANOAOD_BITS
from drift.source import Accepted, Quarantined, Reader, Waiting
from tests import l1nano

ROOT = Path(__file__).parents[2]
REAL = ROOT / "../shared/data/real_root"
SMALL = ("uproot-HZZ-lz4.root", "nano_dimuon_rntuple.root", "scouting_nano.root")
DOCUMENTED = re.findall(r"(?m)^\| (\S+\.root) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/input.md").read_text())

real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")


@pytest.fixture(scope="module")
def readers():
    with Reader(AXOL1TL_57) as features, Reader(NANOAOD_BITS) as bits:
        yield features, bits


def said(outcome):
    if isinstance(outcome, Accepted):
        found = outcome.contents
        events, lumisections = sum(found.delivered.values()), len(found.lumisections)
        return f"accepted: {events} events, {lumisections} lumisections, {len(found.menu_bits)} bits"
    return "waiting" if isinstance(outcome, Waiting) else outcome.code


@real
def test_every_real_file_is_documented():
    assert [name for name, _, _ in DOCUMENTED] == sorted(path.name for path in REAL.glob("*.root"))


@real
@pytest.mark.parametrize(("name", "features", "bits"), DOCUMENTED, ids=[name for name, _, _ in DOCUMENTED])
def test_every_real_file_ends_as_documented(readers, name, features, bits):
    outcomes = [reader.read(REAL / name) for reader in readers]

    assert [said(outcome) for outcome in outcomes] == [features, bits]
    for outcome in outcomes:
        if isinstance(outcome, Quarantined):
            assert name in outcome.reason


@real
def test_the_same_data_as_ttree_and_rntuple_count_the_same(readers):
    tree, ntuple = (readers[1].read(REAL / name).contents for name in ("nano_dimuon.root", "nano_dimuon_rntuple.root"))

    assert tree.menu_bits == ntuple.menu_bits
    assert tree.delivered == ntuple.delivered == {(315267, 205): 40}
    assert (tree.storage, ntuple.storage) == ("TTree", "RNTuple")


@real
def test_reduced_nanoaod_is_refused_for_training_in_an_experts_words(readers):
    reason = readers[0].read(REAL / "nano_tt_v15.root").reason

    assert "hardware" in reason or "no Level-1 object collections" in reason
    assert "cannot be rebuilt" in reason
    assert "L1Nano" in reason


@real
def test_an_rntuple_page_that_contradicts_its_checksum_is_refused(readers, tmp_path):
    content = bytearray((REAL / "nano_dimuon_rntuple.root").read_bytes())
    path = tmp_path / "nano_dimuon_rntuple.root"
    codes = set()
    for place in range(20_000, 60_000, 4_000):
        damaged = content.copy()
        damaged[place] ^= 4
        path.write_bytes(damaged)
        outcome = readers[1].read(path)
        codes.add(said(outcome))

    assert codes <= {"unreadable", "accepted: 40 events, 1 lumisections, 524 bits"}


def test_damage_is_never_accepted_beside_a_checksum_and_harms_no_reader(tmp_path):
    nano = []
    for storage, codec in (("TTree", "zstd"), ("TTree", "none"), ("RNTuple", "lz4")):
        folder = tmp_path / f"{storage}-{codec}"
        folder.mkdir()
        path = folder / "run382913_ls0001-0003.root"
        nano.append(l1nano.write(path, *l1nano.columns(events=12), storage=storage, codec=codec))
    files = originals(nano, AXOL1TL_57)
    if REAL.exists():
        files += originals([REAL / name for name in SMALL], NANOAOD_BITS)

    report = campaign(files, 64, seed=7)

    assert sum(report.outcomes.values()) == 64
    assert report.wrong == []
    assert report.unnamed == []
    assert report.starts == report.readers
    assert report.total("accepted different", sidecar=True) == 0
    assert report.total("quarantined", sidecar=True) > 20
    assert report.total("quarantined", sidecar=False) > 5
    assert report.rss_mib[1] - report.rss_mib[0] < 60
    assert {damage for _, damage, _ in report.outcomes} == {damage.__name__ for damage in DAMAGES}
