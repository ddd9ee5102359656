"""The newest candidate's numbers are those of its bundle, and damage gives none."""

from daemon.candidate_figures import Evidence, evidence_of
from tests.unit.daemon.page_world import PageWorld, example_bundle


def test_the_numbers_beside_the_champion_are_those_of_the_evidence(tmp_path):
    world = PageWorld.build(tmp_path)
    made = example_bundle(tmp_path / "bundles", seed=7, champion=world.champion)
    world.ledger.close()
    found = evidence_of(made.path)

    assert found.vectors == (120_000, 0)
    assert found.threshold == 3_548
    assert found.target_hz == made.recipe.target_rate_hz
    assert found.rates.keys() == {"candidate", "champion"}
    assert found.rates["candidate"][1] < found.rates["candidate"][0] < found.rates["candidate"][2]
    assert found.events == {"both": 24.0, "gained": 13.0, "lost": 5.0}
    assert found.resources == {"lut": 31_240.0, "ff": 9_870.0, "dsp": 0.0, "latency_ticks": 2.0}
    assert found.pure is False


def test_a_bundle_that_is_not_there_has_no_numbers(tmp_path):
    assert evidence_of(tmp_path / "nowhere") == Evidence()


def test_evidence_that_cannot_be_read_gives_no_number(tmp_path):
    folder = tmp_path / "bundle" / "evidence"
    folder.mkdir(parents=True)
    (folder / "proof.json").write_text("{half")
    (folder / "working_point.json").write_text('["not", "an", "object"]')

    assert evidence_of(tmp_path / "bundle") == Evidence()
