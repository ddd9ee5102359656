"""Who may say yes or no on the page, to what, and what is refused by name."""

import re

import pytest

from daemon.decisions import code_of
from daemon.lifecycle import Phase
from daemon.lifecycle import facts as f
from tests.unit.daemon.page_world import NOON, PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def test_two_people_approve_what_they_saw(world):
    name, app = world.propose(), application(world)
    code = code_of(world.candidate(name))

    first = Browser(app, "mila").send(name, "approve", code=code)
    second = Browser(app, "timo").send(name, "approve", code=code.upper())

    assert first.status_code == second.status_code == 303
    after = world.candidate(name)
    assert after.phase is Phase.APPROVED
    assert [(one.person, one.role) for one in after.approvals] == [("mila", "ml_expert"), ("timo", "trigger_oncall")]
    assert world.ledger.verify() == []


def test_a_stale_page_cannot_approve(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    code = code_of(world.candidate(name))
    world.certifier.word = "one run was taken back"
    world.step(name)

    answer = mila.send(name, "approve", seen, code=code)

    assert answer.status_code == 412
    assert "this page was out of date" in answer.text
    assert world.candidate(name).phase is Phase.STALE


def test_a_request_that_was_asked_anew_needs_its_own_code_and_its_own_page(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    forged = {**seen, "request_id": "f" * 64}

    assert mila.send(name, "approve", forged, code=code_of(world.candidate(name))).status_code == 412
    assert world.candidate(name).approvals == ()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("weights.safetensors", "the weights changed"),
        ("threshold.json", "the threshold changed"),
        ("emulator/emulator.cpp", "the emulator source changed"),
        ("evidence/proof.json", "the evidence changed"),
    ],
)
def test_one_changed_bit_after_the_gates_is_refused_by_name(world, part, said):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    code = code_of(world.candidate(name))
    target = world.folder / "bundles" / world.candidate(name).bundle_digest / part
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))

    answer = mila.send(name, "approve", seen, code=code)

    assert answer.status_code == 409
    assert "Nothing was recorded" in answer.text
    assert said in answer.text
    assert world.candidate(name).approvals == ()
    assert said in mila.get(f"/candidates/{name}").text


def test_a_wrong_code_a_missing_reason_or_a_wrong_password_records_nothing(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    code = code_of(world.candidate(name))

    assert mila.send(name, "approve", code="c-0001-zzzz").status_code == 409
    assert mila.send(name, "approve", code=code, reason="  ").status_code == 409
    wrong = mila.send(name, "approve", code=code, password="not my password", reason="kept for me")
    assert wrong.status_code == 403
    assert "kept for me" in wrong.text
    assert world.candidate(name).approvals == ()


def test_one_person_counts_once_and_a_filled_role_is_not_filled_twice(world):
    name, app = world.propose(), application(world)
    world.people.add_person("mona", PASSWORD, ["ml_expert"], by="root", now=NOON)
    code = code_of(world.candidate(name))
    mila, mona = Browser(app, "mila"), Browser(app, "mona")
    seen = mona.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    mine = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    mila.send(name, "approve", mine, code=code)

    assert "already approved" in mila.send(name, "approve", mine, code=code).text
    assert "somebody already approved as ml_expert" in mona.send(name, "approve", seen, code=code).text
    assert len(world.candidate(name).approvals) == 1


def test_a_viewer_reads_everything_and_says_nothing(world):
    name, app = world.propose(), application(world)
    vera = Browser(app, "vera")
    page = vera.get(f"/candidates/{name}")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    request = world.candidate(name).request.request_id

    assert page.status_code == 200
    assert "/approve" not in page.text
    assert "/reject" not in page.text
    fields = {"form_token": token, "request_id": request}
    for verb, extra in (("approve", {"code": code_of(world.candidate(name))}), ("reject", {"klass": "physics"})):
        assert vera.send(name, verb, fields, **extra).status_code == 403
    assert world.candidate(name).phase is Phase.PENDING_APPROVAL


def test_a_role_taken_away_counts_at_once(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    world.people.set_roles("mila", ["viewer"], by="root", now=NOON)

    answer = mila.send(name, "approve", seen, code=code_of(world.candidate(name)))

    assert answer.status_code == 403
    assert "mila holds none of the roles for which this is" in answer.text
    assert world.candidate(name).approvals == ()


def test_a_no_needs_a_class_and_ends_the_candidate(world):
    name, app = world.propose(), application(world)
    carla = Browser(app, "carla")

    assert carla.send(name, "reject", klass="").status_code == 409
    assert carla.send(name, "reject", klass="rate", reason="too high at pileup 50").status_code == 303
    after = world.candidate(name)
    assert after.phase is Phase.REJECTED
    assert "too high at pileup 50" in Browser(app, "mila").get(f"/candidates/{name}").text


def test_an_approver_may_take_the_yes_back(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    mila.send(name, "approve", code=code_of(world.candidate(name)))

    assert mila.send(name, "revoke", reason="I misread the rate").status_code == 303
    assert world.candidate(name).phase is Phase.REVOKED


def test_the_one_who_asked_for_a_candidate_is_not_asked_again(world):
    name = world.propose()
    stored = world.ledger.facts(subject=name)
    assert isinstance(stored[0].fact, f.CandidateRequested)
    app = application(world)

    assert "you can answer as" in Browser(app, "mila").get(f"/candidates/{name}").text
    assert "none: you asked for it" in Browser(app, "carla").get(f"/candidates/{name}").text


def test_a_fault_is_closed_with_a_reason_by_somebody_who_may(world):
    world.open_fault()
    app = application(world)
    vera, timo = Browser(app, "vera"), Browser(app, "timo")

    def close(browser, reason):
        token = re.search(r'name="form_token" value="([^"]+)"', browser.get("/").text)[1]
        body = {"form_token": token, "reason": reason, "password": PASSWORD}
        return browser.http.post("/faults/a-401002/close", data=body)

    assert "Detector fault: Jet" in timo.get("/").text
    assert close(vera, "I hope so").status_code == 403
    assert close(timo, "").status_code == 409
    assert close(timo, "HBHE power supply replaced").status_code == 303
    assert close(timo, "again").status_code == 409
    assert "Detector fault: Jet" not in timo.get("/").text
