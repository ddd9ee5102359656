"""What the page shows on the board's side of an approval, and the rarer words: waive, confirm, break the glass."""

from dataclasses import replace

import pytest

from daemon.decisions import code_of
from daemon.lifecycle import Phase
from daemon.lifecycle.observed import Comparison, Observed, RateWatch
from tests.unit.daemon.page_world import NOON, PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("NO BEAM")
    made.take_data()
    yield made
    made.ledger.close()


def doubtful(world):
    """A candidate of whose gates one is inconclusive; everything else is as in one that passed."""
    asked, built, judged = (one.fact for one in world.ledger.facts(subject=world.propose())[:3])
    first, *others = judged.gates
    gates = (replace(first, verdict="inconclusive", summary="too few events"), *others)
    facts = [replace(asked, candidate="c-0002", number=2), built, replace(judged, gates=gates)]
    world.ledger.append("c-0002", facts)
    world.step("c-0002")
    return "c-0002", first.name


def test_two_people_waive_an_inconclusive_gate_on_the_page(world):
    name, gate = doubtful(world)
    app = application(world)
    mila, carla = Browser(app, "mila"), Browser(app, "carla")
    assert "a gate was inconclusive" in mila.get(f"/candidates/{name}").text

    assert mila.send(name, "waive", gate=gate, hours=24, reason="the fill was short").status_code == 303
    assert world.candidate(name).phase is Phase.NEEDS_EXPERT
    assert "mila waived gate" in carla.get(f"/candidates/{name}").text
    assert "/waive" not in mila.get(f"/candidates/{name}").text
    assert carla.send(name, "waive", gate=gate, hours=24, reason="seen, and agreed").status_code == 303
    world.step(name)

    assert world.candidate(name).phase in {Phase.READY, Phase.PENDING_APPROVAL}
    assert [one.person for one in world.candidate(name).waivers] == ["mila", "carla"]


def test_a_waiver_of_evidence_that_was_not_read_or_of_a_gate_that_passed_is_refused(world):
    name, gate = doubtful(world)
    mila = Browser(application(world), "mila")
    fields = mila.fields(f"/candidates/{name}", f"/candidates/{name}/waive")
    passed = world.candidate(name).gates.gates[1].name

    assert mila.send(name, "waive", {**fields, "request_id": "0" * 64}, gate=gate, hours=24).status_code == 409
    assert mila.send(name, "waive", fields, gate=passed, hours=24).status_code == 409
    assert mila.send(name, "waive", fields, gate=gate, hours=24 * 300).status_code == 409
    assert mila.send(name, "waive", fields, gate=gate, hours="long").status_code == 422
    assert world.candidate(name).waivers == ()


def test_a_form_that_bears_the_code_of_something_else_is_out_of_date(world):
    name, gate = doubtful(world)
    app, head = application(world), world.ledger.head()
    mila, timo = Browser(app, "mila"), Browser(app, "timo")
    waived = mila.send(name, "waive", gate=gate, hours=24, code=f"{name}-0000")
    rejected = timo.send("c-0001", "reject", klass="rate", code=name)
    broken = timo.send("c-0001", "break-glass", code="")

    assert [one.status_code for one in (waived, rejected, broken)] == [412, 412, 412]
    assert "this page was out of date" in waived.text
    assert world.ledger.head() == head


def test_two_people_break_the_glass_on_the_page_and_it_speaks_against_the_candidate(world):
    name, app = world.propose(), application(world)
    timo, carla = Browser(app, "timo"), Browser(app, "carla")
    assert "/break-glass" not in Browser(app, "mila").get(f"/candidates/{name}").text

    assert timo.send(name, "break-glass", reason="the champion drops half of all jets").status_code == 303
    assert "timo broke the glass: the champion drops" in carla.get(f"/candidates/{name}").text
    assert carla.send(name, "break-glass", reason="agreed by phone").status_code == 303

    assert world.candidate(name).glass_broken


def on_board(world, **policy):
    """Lead a candidate to the board, as the loop does, under a policy that watches it there."""
    world.policy = replace(world.policy, **policy)
    name, app = world.propose(), application(world)
    code = code_of(world.candidate(name))
    for person in ("mila", "timo"):
        Browser(app, person).send(name, "approve", code=code)
    for _ in range(2):
        world.step(name)
    made = world.candidate(name)
    world.target.deploy(made.bundle_digest, world.folder / "bundles" / made.bundle_digest, token=2)
    world.step(name)
    return name, app


class Sees:
    """A board of which a test says what it shows."""

    def __init__(self, mismatches):
        self.mismatches = mismatches

    def observed(self, candidate, now):
        return Observed(
            comparison=Comparison(
                lumisections=2,
                events=40_000,
                mismatches=self.mismatches,
                mismatch_rate_low=0.0,
                mismatch_rate_high=1e-4,
            ),
            rate=RateWatch(lumisections=2, expected_hz=950.0, observed_hz=960.0, low=930.0, high=990.0),
        )


def test_shadow_shows_board_against_emulator_and_how_to_go_back(world):
    before = world.champion.digest
    name, app = on_board(world, shadow_lumisections=5)
    world.sight._observer = Sees(0)
    text = Browser(app, "timo").get(f"/candidates/{name}").text

    assert world.candidate(name).phase is Phase.SHADOW
    assert "In shadow" in text
    assert "0 of 40000 events differ in 2 lumisections" in text
    assert "Changed since its gates ran" not in text
    assert before in text
    assert f"/candidates/{name}/rollback" in text


def test_probation_shows_the_rate_against_its_forecast(world):
    name, app = on_board(world, probation_lumisections=5)
    world.sight._observer = Sees(0)
    text = Browser(app, "vera").get(f"/candidates/{name}").text

    assert world.candidate(name).phase is Phase.LIVE_PROBATION
    assert "On probation" in text
    assert "Rate against forecast" in text
    assert "960" in text


def test_the_one_who_confirms_sees_the_form_in_shadow_and_counts_once(world):
    tiers = {**world.policy.tiers, "T1": replace(world.policy.tiers["T1"], confirm_roles=("firmware_expert",))}
    world.people.add_person("fred", PASSWORD, ["firmware_expert"], by="root", now=NOON)
    name, app = on_board(world, shadow_lumisections=5, tiers=tiers)
    fred = Browser(app, "fred")
    assert "Second confirmation" in fred.get(f"/candidates/{name}").text

    assert fred.send(name, "confirm", reason="bits agree").status_code == 303
    assert [one.person for one in world.candidate(name).confirmations] == ["fred"]
    assert "/confirm" not in fred.get(f"/candidates/{name}").text
