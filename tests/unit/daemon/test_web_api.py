"""The same verbs for programs."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.decisions import code_of
from daemon.lifecycle import signing
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.test_web_rarer import doubtful
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def api_approve(browser, world, name, **headers):
    body = {"code": code_of(world.candidate(name)), "reason": "convincing", "password": PASSWORD}
    return browser.http.post(f"/api/v1/candidates/{name}/approve", json=body, headers=headers)


def test_a_program_approves_with_if_match(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    shown = mila.get(f"/api/v1/candidates/{name}")
    headers = {"If-Match": shown.headers["etag"], "X-Form-Token": mila.token()}

    answer = api_approve(mila, world, name, **headers)

    assert answer.status_code == 200
    assert answer.json()["missing_roles"] == ["trigger_oncall"]
    assert world.candidate(name).approvals[0].person == "mila"


def test_an_api_without_if_match_is_428_with_an_old_one_412_and_says_so_as_a_problem(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    token = mila.token()

    bare = api_approve(mila, world, name, **{"X-Form-Token": token})
    old = api_approve(mila, world, name, **{"X-Form-Token": token, "If-Match": f'"{"0" * 64}"'})
    foreign = api_approve(mila, world, name, **{"If-Match": "x"})

    assert [one.status_code for one in (bare, old, foreign)] == [428, 412, 403]
    for answer in (bare, old, foreign):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    assert world.candidate(name).approvals == ()


def test_a_program_rejects_and_lists(world):
    name = world.propose()
    carla = Browser(application(world), "carla")
    tag = carla.get(f"/api/v1/candidates/{name}").headers["etag"]
    answer = carla.http.post(
        f"/api/v1/candidates/{name}/reject",
        json={"klass": "rate", "reason": "too high", "password": PASSWORD, "code": code_of(world.candidate(name))},
        headers={"If-Match": tag, "X-Form-Token": carla.token()},
    )

    assert answer.json()["phase"] == "rejected"
    assert [one["phase"] for one in carla.get("/api/v1/candidates").json()] == ["rejected"]


def test_a_field_that_the_api_does_not_know_is_refused(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    body = {"code": "x", "reason": "x", "password": "x", "person": "timo"}
    answer = mila.http.post(
        f"/api/v1/candidates/{name}/approve", json=body, headers={"If-Match": "x", "X-Form-Token": mila.token()}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def milas(world):
    """A key that speaks for mila."""
    key = Ed25519PrivateKey.generate()
    world.people.add_key("mila", key.public_key().public_bytes_raw().hex(), by="rita", now=world.now)
    return key


def signed(key, message):
    made = signing.sign(key, message)
    return {"key_id": made.key_id, "value": made.value}


def send(world, name, verb, **body):
    mila = Browser(application(world), "mila")
    request = world.candidate(name).request
    headers = {"X-Form-Token": mila.token(), "If-Match": f'"{request.request_id if request else "none"}"'}
    said = {"reason": "convincing", "password": PASSWORD, "code": code_of(world.candidate(name)), **body}
    return mila.http.post(f"/api/v1/candidates/{name}/{verb}", json=said, headers=headers)


def test_a_signature_of_another_statement_or_without_the_password_is_no_word(world, milas):
    name = world.propose()
    about = (world.candidate(name).request.request_id, "mila", "ml_expert")
    other = signed(milas, signing.approval(name, *about, "another reason"))
    confirming = signed(milas, signing.confirmation(name, *about, "convincing"))
    good = signed(milas, signing.approval(name, *about, "convincing"))

    answers = [send(world, name, "approve", signature=one) for one in (other, confirming, {**good, "value": "00"})]
    bare = send(world, name, "approve", signature=good, password="")

    assert [one.status_code for one in answers] == [409, 409, 422]
    assert "is not of these bytes" in answers[0].json()["detail"]
    assert bare.status_code == 403
    assert send(world, name, "approve", signature=good).status_code == 200
    assert world.candidate(name).approvals[0].signature.value == good["value"]


def test_a_signed_waiver_of_a_clock_that_is_off_is_refused(world, milas):
    name, gate = doubtful(world)
    evidence = world.candidate(name).gates.evidence_root

    def waive(until, root=evidence):
        message = signing.waiver(name, root, gate, "mila", "ml_expert", "convincing", until)
        more = {"signature": signed(milas, message), "expires_at": until.isoformat()}
        return send(world, name, "waive", gate=gate, evidence_root=evidence, hours=6, **more)

    late, elsewhere = waive(world.now + timedelta(hours=7)), waive(world.now + timedelta(hours=6), "0" * 64)
    taken = waive(world.now + timedelta(hours=6, minutes=2))

    assert [late.status_code, elsewhere.status_code, taken.status_code] == [409, 409, 200]
    assert "set the clock of the machine that signed" in late.json()["detail"]
    assert "is not of these bytes" in elsewhere.json()["detail"]
    assert world.candidate(name).waivers[0].signature is not None


def test_the_api_says_in_which_role_each_word_would_be_signed(world):
    name = world.propose()
    mila, vera = (Browser(application(world), one) for one in ("mila", "vera"))
    path = f"/api/v1/candidates/{name}"

    assert mila.get(path).json()["roles"] == {
        "approve": "ml_expert", "confirm": "", "break-glass": "", "waive": "ml_expert"
    }  # fmt: skip
    assert set(vera.get(path).json()["roles"].values()) == {""}
