"""A bundle goes on only with a signed statement of where it came from, and the statement is about that bundle alone."""

import base64
import json

import pytest

from daemon.errors import ProvenanceError
from daemon.lifecycle import BundleAttested
from daemon.lifecycle.codec import canonical
from daemon.record import Provenance, own_key, statement_path
from daemon.record.envelope import sign
from daemon.record.statement import PAYLOAD_TYPE, check_statement, sign_statement, statement
from tests.unit.daemon.page_world import NOON, PageWorld, example_bundle

BUILDER = "urn:retrigger:p5"


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def key(tmp_path):
    return own_key(tmp_path / "keys" / "build.pem", "build")


@pytest.fixture
def provenance(world, key):
    return Provenance(world.ledger, lambda: key, BUILDER)


def told(path):
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))


def test_a_statement_names_the_bundle_every_file_of_it_and_what_it_was_made_from(world, provenance):
    tree = told(provenance.attest(world.champion, NOON))

    subjects = {one["name"]: one["digest"]["sha256"] for one in tree["subject"]}
    assert tree["_type"] == "https://in-toto.io/Statement/v1"
    assert tree["predicateType"] == "https://slsa.dev/provenance/v1"
    assert subjects == {"manifest.json": world.champion.digest, **world.champion.manifest["files"]}
    built = tree["predicate"]["buildDefinition"]
    materials = {one["name"]: one for one in built["resolvedDependencies"]}
    assert materials["recipe"]["digest"]["sha256"] == world.champion.recipe.digest
    assert materials["dataset"]["annotations"]["lumisections"] == {
        "training": ["401003:12-80", "401003:101-160"],
        "held_out": ["401003:81-100"],
    }
    assert built["internalParameters"]["tools"]["torch"] == "2.13.0"
    assert tree["predicate"]["runDetails"]["builder"]["id"] == BUILDER


def test_every_lumisection_that_was_read_is_a_material_with_its_digest(world, key):
    class Listing:
        digest, manifest = world.champion.digest, world.champion.manifest
        read_json = staticmethod(world.champion.read_json)

        @staticmethod
        def evidence(name):
            found = world.champion.evidence(name)
            return {**found, "files": [[401_003, 12, "ab" * 32, 350]]} if name == "dataset" else found

    tree = statement(Listing(), BUILDER, NOON)
    content = sign_statement(tree, key)

    assert tree["predicate"]["buildDefinition"]["resolvedDependencies"][-1] == {
        "name": "401003:12",
        "digest": {"sha256": "ab" * 32},
        "annotations": {"events": 350},
    }
    assert check_statement(content, Listing(), [key.public]) == key.public.keyid
    with pytest.raises(ProvenanceError, match="another materials"):
        check_statement(content, world.champion, [key.public])


def test_attesting_twice_leaves_one_statement_and_one_fact(world, provenance, key):
    path = provenance.attest(world.champion, NOON)
    before = path.read_bytes()
    provenance.attest(world.champion, NOON.replace(hour=13))

    (fact,) = [one.fact for one in world.ledger.facts(kind=BundleAttested.kind)]
    assert path == statement_path(world.champion.path)
    assert path.read_bytes() == before
    assert (fact.bundle_digest, fact.keyid) == (world.champion.digest, key.public.keyid)


def test_a_statement_that_was_lost_is_signed_again_when_the_bundle_is_verified_again(world, provenance):
    provenance.attest(world.champion, NOON).unlink()
    with pytest.raises(ProvenanceError, match="cannot be read"):
        provenance.check(world.champion)
    provenance.attest(world.champion, NOON.replace(hour=13))

    provenance.check(world.champion)
    assert len(world.ledger.facts(kind=BundleAttested.kind)) == 2


def test_a_statement_about_another_bundle_is_refused(world, provenance, tmp_path):
    other = example_bundle(tmp_path / "bundles", seed=2, champion=None)
    path = provenance.attest(other, NOON)
    statement_path(world.champion.path).write_bytes(path.read_bytes())

    with pytest.raises(ProvenanceError, match="another subject"):
        provenance.check(world.champion)


def test_a_statement_signed_by_the_record_key_or_by_a_stranger_is_refused(world, provenance, tmp_path):
    tree = statement(world.champion, BUILDER, NOON)
    for use in ("record", "build"):
        statement_path(world.champion.path).write_bytes(sign_statement(tree, own_key(tmp_path / f"{use}2.pem", use)))
        with pytest.raises(ProvenanceError, match="not among the build keys"):
            provenance.check(world.champion)


def test_another_daemons_statement_does_not_count_here(world, provenance, key):
    tree = statement(world.champion, "urn:somebody:else", NOON)
    statement_path(world.champion.path).write_bytes(sign_statement(tree, key))

    with pytest.raises(ProvenanceError, match="names the builder urn:somebody:else"):
        provenance.check(world.champion)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["subject"].pop(),
        lambda tree: tree["subject"].append({"name": "x", "digest": {"sha256": "0" * 64}}),
        lambda tree: tree.update(predicateType="https://slsa.dev/provenance/v0.2"),
        lambda tree: tree.update(note="x"),
        lambda tree: tree["predicate"]["buildDefinition"].update(resolvedDependencies=[]),
        lambda tree: tree["predicate"]["buildDefinition"]["internalParameters"]["tools"].update(torch="9"),
        lambda tree: tree["predicate"]["buildDefinition"]["externalParameters"]["recipe"].update(seed=9),
        lambda tree: tree["predicate"]["runDetails"]["metadata"].update(finishedOn="yesterday"),
        lambda tree: tree.pop("predicate"),
    ],
)
def test_even_a_well_signed_statement_must_say_what_the_bundle_says(world, key, change):
    tree = statement(world.champion, BUILDER, NOON)
    change(tree)
    content = canonical(sign(canonical(tree), PAYLOAD_TYPE, key)) + b"\n"

    with pytest.raises(ProvenanceError, match=r"says another|no in-toto statement"):
        check_statement(content, world.champion, [key.public])


@pytest.mark.parametrize("place", range(0, 4000, 97))
def test_any_byte_of_a_statement_matters(world, key, place):
    content = bytearray(sign_statement(statement(world.champion, BUILDER, NOON), key))
    content[place % len(content)] ^= 1 << place % 8

    with pytest.raises(ProvenanceError):
        check_statement(bytes(content), world.champion, [key.public])
