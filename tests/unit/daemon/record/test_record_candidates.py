"""The daemon signs where a bundle came from when it verifies it, and asks nobody about a bundle without that."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.candidates import Candidates
from daemon.lifecycle import BundleAttested, Phase
from daemon.lifecycle import facts as f
from daemon.measured import evidence_root
from daemon.record import Provenance, own_key, statement_path
from retrain import bundle as bundles
from retrain.verify import AGAINST_CHAMPION
from tests.unit.daemon.page_world import NOON, SLOT, PageWorld, example_bundle

NOTHING: Any = None


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("NO BEAM")
    made.take_data()
    yield made
    made.ledger.close()


@pytest.fixture
def loop(world, tmp_path):
    build = own_key(tmp_path / "build.pem", "build")
    with world.ledger.lead("test", NOON) as lead:
        yield Candidates(
            world.ledger,
            world.sight,
            world.policy,
            world.target,
            NOTHING,
            jobs=tmp_path,
            job_of=NOTHING,
            lead=lead,
            provenance=Provenance(world.ledger, lambda: build, "urn:retrigger:p5"),
        )


def trained(world):
    """A candidate of which the bundle was just built."""
    made = example_bundle(world.folder / "bundles", seed=101, champion=world.champion)
    words = {"recipe_digest": made.recipe.digest, "at": NOON}
    asked = f.CandidateRequested(
        actor="daemon", candidate="c-0001", number=1, slot=SLOT, trigger="drift", initiator="daemon",
        recipe=made.recipe.to_json(), reason="real shift", **words,
    )  # fmt: skip
    built = f.TrainingFinished(
        actor="daemon", bundle_digest=made.digest, bundle_path=str(made.path),
        certification_digest=world.certifier.digest(made.recipe.lumisections), **words,
    )  # fmt: skip
    world.ledger.append("c-0001", [asked, built])
    return made


def kinds(world):
    return [one.fact.kind for one in world.ledger.facts() if one.subject in {"c-0001", "provenance"}]


def test_a_bundle_is_attested_when_it_is_verified_and_only_then_proposed(world, loop):
    made = trained(world)
    loop.step(NOON)

    assert kinds(world)[2:] == ["bundle_attested", "gates_evaluated", "proposed"]
    assert statement_path(made.path).is_file()
    assert loop.troubles == {}
    assert bundles.verify(made.path) == made.digest


def test_verdicts_against_another_champion_than_the_one_that_runs_are_open_under_another_root(world, loop):
    made = trained(world)
    newer = example_bundle(world.folder / "bundles", seed=2, champion=None)
    world.target.deploy(newer.digest, newer.path, token=1)
    loop.step(NOON)
    judged = world.candidate("c-0001")
    told = {one.name: one.verdict for one in judged.gates.gates}
    before = {one.name: one.verdict for one in made.gates}

    assert judged.phase is Phase.NEEDS_EXPERT
    assert {name for name, verdict in told.items() if verdict != before[name]} == AGAINST_CHAMPION & set(told)
    assert any(f"measured against {made.recipe.champion[:16]}" in one.summary for one in judged.gates.gates)
    assert judged.gates.evidence_root == evidence_root(made, newer.digest)
    assert judged.gates.evidence_root != evidence_root(made, world.champion.digest)
    assert world.sight.world(judged, [], NOON).evidence_root == judged.gates.evidence_root


@pytest.mark.parametrize("edit", ["gone", "of another bundle"])
def test_a_bundle_whose_statement_is_gone_or_anothers_is_not_proposed(world, loop, edit):
    made = trained(world)
    loop.step(NOON)
    stale = f.Staled(at=NOON, actor="daemon", request_id=world.candidate("c-0001").request.request_id, what_changed="x")
    gates = replace(world.candidate("c-0001").gates, at=NOON)
    world.ledger.append("c-0001", [stale, gates])
    path = statement_path(made.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\n") if edit != "gone" else path.unlink()
    loop.step(NOON)
    refused, told = kinds(world).count("proposed"), dict(loop.troubles)
    path.write_bytes(whole)
    loop.step(NOON)

    assert refused == 1
    assert "the statement about bundle" in told["c-0001"]
    assert kinds(world).count("proposed") == 2
    assert loop.troubles == {}


def test_a_daemon_killed_between_statement_and_gates_goes_on_with_the_same_statement(world, loop):
    made = trained(world)
    loop._provenance.attest(made, NOON)
    before = statement_path(made.path).read_bytes()
    loop.step(NOON.replace(hour=14))

    assert statement_path(made.path).read_bytes() == before
    assert len(world.ledger.facts(kind=BundleAttested.kind)) == 1
    assert kinds(world).count("proposed") == 1
