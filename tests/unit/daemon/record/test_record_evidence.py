"""One bundle's whole evidence verifies elsewhere, and an archive that was made to harm does not."""

import io
import random
import re
import shutil
import tarfile
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest

from daemon.errors import EvidenceError
from daemon.lifecycle import facts as f
from daemon.lifecycle import parse_policy
from daemon.record import Provenance, archive, check_evidence, own_key, pack, read_head, write_export
from retrain import bundle as bundles
from tests.unit.daemon.page_world import NOON, PageWorld

POLICY = files("daemon").joinpath("policy.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A candidate that two people approved, packed; with the keys, and a place to write."""
    base = tmp_path_factory.mktemp("evidence")
    world = PageWorld.build(base)
    record, build = own_key(base / "record.pem", "record"), own_key(base / "build.pem", "build")
    name = world.propose()
    candidate = world.candidate(name)
    bundle = bundles.load(base / "bundles" / candidate.bundle_digest)
    Provenance(world.ledger, lambda: build, "urn:retrigger:p5").attest(bundle, NOON)
    for person, role in (("mila", "ml_expert"), ("timo", "trigger_oncall")):
        said = {"request_id": candidate.request.request_id, "person": person, "role": role, "reason": "looks right"}
        world.ledger.append(name, [f.Approved(at=NOON, actor=person, **said)])
    out = base / "evidence.tar"
    pack(world.ledger, bundle, POLICY, record, out)
    yield world, bundle, (record.public, build.public), out, record
    world.ledger.close()


def problems(path, keys):
    return check_evidence(path, keys).problems


def test_the_evidence_of_a_bundle_verifies_with_public_keys_alone(packed):
    _, bundle, keys, out, _ = packed
    found = check_evidence(out, keys)

    assert found.problems == []
    assert found.bundle == bundle.digest
    assert found.approvals == [("mila", "ml_expert"), ("timo", "trigger_oncall")]
    kinds = {one.fact.kind for one in found.told}
    assert kinds >= {"candidate_requested", "training_finished", "gates_evaluated", "proposed", "approved"}
    assert kinds >= {"bundle_attested", "person_added"}


def test_a_request_made_under_another_policy_than_the_one_enclosed_is_noted(packed, tmp_path):
    world, bundle, keys, out, record = packed
    same = world.policy.id == parse_policy(POLICY).id
    pack(world.ledger, bundle, POLICY + "\n# another comment\n", record, tmp_path / "comment.tar")

    assert not same  # the world of these tests asks for no gates by name
    assert "under another policy than the one enclosed" in check_evidence(out, keys).notes[0]
    assert check_evidence(tmp_path / "comment.tar", keys).problems == []


def test_people_who_had_no_part_in_it_are_not_in_it(packed):
    _, _, keys, out, _ = packed

    people = {one.fact.person for one in check_evidence(out, keys).told if isinstance(one.fact, f.PersonAdded)}
    assert people == {"mila", "timo"}


def test_equal_records_give_equal_archives_wherever_they_are_written(packed, tmp_path):
    world, bundle, _, out, record = packed
    moved = bundles.load(shutil.copytree(bundle.path, tmp_path / "elsewhere" / bundle.digest))
    shutil.copy(bundle.path.with_name(f"{bundle.digest}.intoto.json"), tmp_path / "elsewhere")
    pack(world.ledger, moved, POLICY, record, tmp_path / "again.tar")

    assert (tmp_path / "again.tar").read_bytes() == out.read_bytes()


def test_any_bit_of_the_archive_matters(packed, tmp_path):
    _, _, keys, out, _ = packed
    whole, rng, path = out.read_bytes(), random.Random(5), tmp_path / "edited.tar"
    for _ in range(150):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)

        assert problems(path, keys) != []


@pytest.mark.parametrize("at", [0, 1, 511, 512, 4096, -1, -10240])
def test_an_archive_cut_off_or_continued_does_not_verify(packed, tmp_path, at):
    _, _, keys, out, _ = packed
    whole, path = out.read_bytes(), tmp_path / "edited.tar"
    path.write_bytes(whole[:at])
    cut = problems(path, keys)
    path.write_bytes(whole + b"\0" * 512)

    assert cut != []
    assert problems(path, keys) != []


def repacked(out, path, change):
    """Write the archive again in its own form, with other files in it."""
    with tarfile.open(out) as source:
        content = {entry.name: source.extractfile(entry).read() for entry in source}
    change(content)
    with path.open("wb") as sink:
        archive.write(sink, content.items())
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update({"policy.toml": c["policy.toml"] + b"\n"}), "policy.toml: not as the record key signed it"),
        (lambda c: c.update({"note.txt": b"x"}), "note.txt: not as the record key signed it"),
        (lambda c: c.update({"bundle/note.txt": b"x"}), "note.txt is not in the manifest"),
        (lambda c: c.pop("bundle/weights.safetensors"), "the weights .* is missing"),
        (lambda c: c.update({"bundle/weights.safetensors": b"x"}), "the weights changed"),
        (lambda c: c.pop("policy.toml"), "policy.toml: not as the record key signed it"),
        (lambda c: c.update({"facts.jsonl": b"".join(c["facts.jsonl"].splitlines(True)[:-1])}), "facts.jsonl: not as"),
        (lambda c: c.pop("evidence.json"), "has not the form"),
        (lambda c: c.update({"evidence.json": b"{}\n"}), "is no signed envelope"),
        (lambda c: c.update({"statement.intoto.json": c["head.json"]}), "statement.intoto.json: not as"),
    ],
)
def test_an_archive_with_another_content_is_refused_however_well_it_is_packed(packed, tmp_path, change, words):
    _, _, keys, out, _ = packed
    found = problems(repacked(out, tmp_path / "edited.tar", change), keys)

    assert len(found) == 1
    assert re.search(words, found[0])


def test_the_wrong_keys_open_nothing(packed, tmp_path):
    _, _, keys, out, _ = packed
    other = own_key(tmp_path / "other.pem", "record").public

    assert "not among the record keys" in problems(out, [other, keys[1]])[0]
    assert "not among the build keys" in problems(out, [keys[0]])[0]


def test_a_head_of_the_same_size_kept_elsewhere_must_be_the_same(packed, tmp_path):
    world, _, keys, out, record = packed
    write_export(world.ledger, tmp_path / "record.jsonl", record)
    kept = read_head(tmp_path / "record.jsonl", keys)

    assert check_evidence(out, keys, [kept]).problems == []
    assert "was rewritten" in check_evidence(out, keys, [replace(kept, root="0" * 64)]).problems[0]
    assert "can be compared only" in check_evidence(out, keys, [replace(kept, size=kept.size + 1)]).notes[-1]


def test_a_bundle_without_a_statement_or_without_facts_is_not_packed(packed, tmp_path):
    world, _, _, _, record = packed
    with pytest.raises(EvidenceError, match="no statement of where bundle"):
        pack(world.ledger, world.champion, POLICY, record, tmp_path / "x.tar")
    stranger = replace(world.champion, digest="0" * 64)

    with pytest.raises(EvidenceError, match="no fact about bundle"):
        pack(world.ledger, stranger, POLICY, record, tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()


def hostile(path, **entry):
    words = {"name": "a", "type": tarfile.REGTYPE, "linkname": "", "size": 0, **entry}
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as made:
        for name in words.pop("names", [words["name"]]):
            one = tarfile.TarInfo(name)
            one.type, one.linkname = words["type"], words["linkname"]
            one.size = words["size"]
            one.mode = 0o644
            made.addfile(one, io.BytesIO(b"x" * words["size"]))
    return path


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "../escaped"}, "leads out of the archive"),
        ({"name": "/tmp/escaped"}, "leads out of the archive"),
        ({"name": "a/../../escaped"}, "leads out of the archive"),
        ({"name": "a\\..\\b"}, "leads out of the archive"),
        ({"name": "./a"}, "leads out of the archive"),
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is a link"),
        ({"type": tarfile.LNKTYPE, "linkname": "b"}, "is a link"),
        ({"type": tarfile.DIRTYPE}, "is a link, a folder or a device"),
        ({"type": tarfile.CHRTYPE}, "is a link, a folder or a device"),
        ({"type": tarfile.FIFOTYPE}, "is a link, a folder or a device"),
        ({"names": ["a", "a"]}, "stands twice"),
        ({"names": ["b", "a"]}, "out of order"),
        ({"names": [f"{n:06d}" for n in range(archive.MAXIMUM_FILES + 1)]}, "holds more than"),
    ],
)
def test_an_archive_made_to_harm_is_refused_and_writes_nothing_outside(tmp_path, entry, words):
    home = tmp_path / "in" / "here"
    home.mkdir(parents=True)
    with pytest.raises(EvidenceError, match=words):
        archive.unpack(hostile(tmp_path / "hostile.tar", **entry), home)

    assert {path.name for path in tmp_path.iterdir()} == {"in", "hostile.tar"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"here"}


def test_a_compressed_or_sparse_archive_is_not_unfolded(packed, tmp_path):
    _, _, keys, _, _ = packed
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as made:
        entry = tarfile.TarInfo("a")
        entry.size = 10 * 2**20
        made.addfile(entry, io.BytesIO(bytes(entry.size)))
    sparse = tarfile.TarInfo("a")
    sparse.size, sparse.pax_headers = (
        0,
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 15},
    )
    with tarfile.open(tmp_path / "sparse.tar", "w:", format=tarfile.PAX_FORMAT) as made:
        made.addfile(sparse, io.BytesIO())

    assert problems(tmp_path / "bomb.tar.gz", keys) != []
    assert problems(tmp_path / "sparse.tar", keys) != []


def test_a_fact_of_another_record_proves_nothing_here(packed, tmp_path):
    _, _, keys, _, _ = packed
    (tmp_path / "other").mkdir()
    other = PageWorld.build(tmp_path / "other")
    name = other.propose()
    made = bundles.load(tmp_path / "other" / "bundles" / other.candidate(name).bundle_digest)
    Provenance(other.ledger, lambda: own_key(tmp_path / "b.pem", "build"), "urn:x").attest(made, NOON + timedelta(1))
    strange = own_key(tmp_path / "r.pem", "record")
    pack(other.ledger, made, POLICY, strange, tmp_path / "other.tar")
    other.ledger.close()
    with tarfile.open(tmp_path / "other.tar") as source:
        theirs = source.extractfile("facts.jsonl").read()

    assert (
        problems(repacked(packed[3], tmp_path / "mixed.tar", lambda c: c.update({"facts.jsonl": theirs})), keys) != []
    )
    assert problems(tmp_path / "other.tar", keys) != []
