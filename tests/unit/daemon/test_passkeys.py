"""An approval by passkey is the person's signature over the very request, and nobody else's, and counts once."""

import json
from datetime import timedelta

import pytest

from daemon.decisions import code_of
from daemon.lifecycle import Phase, signing
from daemon.lifecycle.assertions import verifies
from daemon.lifecycle.key_facts import SigningKeyRevoked
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.soft_passkey import VERIFIED, SoftPasskey, flipped
from tests.unit.daemon.web_visitors import Browser, application

HOME, RP = "http://localhost:8080", "localhost"
REASON = "rate and proof are convincing"


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


@pytest.fixture
def app(world):
    return application(world, public_url=HOME)


def visitor(app, name):
    return Browser(app, name, HOME)


def post(browser, path, **body):
    return browser.http.post(f"/api/v1/{path}", json=body, headers={"X-Form-Token": browser.token()})


def enrol(browser, passkey, label="phone"):
    options = post(browser, "passkey-options", password=PASSWORD).json()
    return post(browser, "passkeys", credential=passkey.make(options), label=label)


@pytest.fixture
def mila(app):
    """Somebody with a passkey, logged in."""
    browser = visitor(app, "mila")
    browser.passkey = SoftPasskey(HOME, RP)
    assert enrol(browser, browser.passkey).status_code == 201
    return browser


def question(browser, world, name, reason=REASON, says="approve"):
    about = world.candidate(name).request.request_id
    return post(browser, "challenges", says=says, subject=name, about=about, reason=reason)


def approve(browser, world, name, assertion, reason=REASON):
    headers = {"X-Form-Token": browser.token(), "If-Match": f'"{world.candidate(name).request.request_id}"'}
    body = {"code": code_of(world.candidate(name)), "reason": reason, "assertion": assertion}
    return browser.http.post(f"/api/v1/candidates/{name}/approve", json=body, headers=headers)


def test_a_passkey_approves_and_its_signature_stands_in_the_record(world, mila):
    name = world.propose()
    answer = approve(mila, world, name, mila.passkey.sign(question(mila, world, name).json()))
    approval = world.candidate(name).approvals[0]
    key = world.people.keys()[approval.signature.key_id]
    said = signing.approval(name, approval.request_id, "mila", "ml_expert", REASON)

    assert answer.status_code == 200, answer.text
    assert answer.json()["approvals"][0]["signed"] == "webauthn"
    assert verifies(key.public, approval.signature.value, said)
    assert not verifies(key.public, approval.signature.value, said.replace(b"mila", b"timo"))
    assert world.ledger.verify() == []


def test_the_challenge_is_of_the_request_the_role_and_the_reason(world, mila):
    name = world.propose()
    first = question(mila, world, name).json()["challenge"]

    assert first == question(mila, world, name, reason=f" {REASON}\r\n").json()["challenge"]
    assert first != question(mila, world, name, reason="another").json()["challenge"]
    assert len(first) == 43


def test_one_person_counts_once_whatever_keys_they_hold(world, mila):
    name, second = world.propose(), SoftPasskey(HOME, RP)
    assert enrol(mila, second, "key ring").status_code == 201
    assert approve(mila, world, name, mila.passkey.sign(question(mila, world, name).json())).status_code == 200

    again = approve(mila, world, name, second.sign(question(mila, world, name).json()))

    assert again.status_code == 409
    assert [one.person for one in world.candidate(name).approvals] == ["mila"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda key, got: got["response"].update(signature=flipped(got["response"]["signature"])), id="bit"
        ),
        pytest.param(lambda key, got: got.update(id="AAAA", rawId="AAAA"), id="unknown-credential"),
        pytest.param(lambda key, got: got["response"].pop("authenticatorData"), id="part-missing"),
        pytest.param(lambda key, got: got.update(response=None), id="no-response"),
    ],
)
def test_an_assertion_that_was_spoilt_is_refused(world, mila, spoil):
    name = world.propose()
    got = mila.passkey.sign(question(mila, world, name).json())
    spoil(mila.passkey, got)

    assert approve(mila, world, name, got).status_code == 403
    assert world.candidate(name).approvals == ()


def test_an_assertion_over_other_words_is_refused(world, mila):
    name = world.propose()
    other = mila.passkey.sign(question(mila, world, name, reason="something else").json())

    assert approve(mila, world, name, other).status_code == 403
    forged = mila.passkey.sign({"challenge": question(mila, world, name, says="reject").json()["challenge"]})
    assert approve(mila, world, name, forged).status_code == 403
    assert world.candidate(name).approvals == ()


def test_an_assertion_of_another_site_or_without_its_user_is_refused(world, mila):
    name, key = world.propose(), mila.passkey
    for change in ({"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": key.flags & ~VERIFIED}):
        kept = {part: getattr(key, part) for part in change}
        for part, value in change.items():
            setattr(key, part, value)
        assert approve(mila, world, name, key.sign(question(mila, world, name).json())).status_code == 403
        for part, value in kept.items():
            setattr(key, part, value)

    assert world.candidate(name).approvals == ()


def test_an_assertion_that_was_used_or_is_too_old_is_refused(world, mila):
    name = world.propose()
    got = mila.passkey.sign(question(mila, world, name).json())
    world.now += timedelta(minutes=6)
    assert approve(mila, world, name, got).status_code == 403
    fresh = mila.passkey.sign(question(mila, world, name).json())
    assert approve(mila, world, name, fresh).status_code == 200
    head = world.ledger.head()

    assert approve(mila, world, name, fresh).status_code == 403
    assert world.ledger.head() == head


def test_a_count_that_went_back_is_a_copy_and_is_refused_by_name(world, mila):
    name = world.propose()
    mila.passkey.count = 40
    post(mila, "passkey-options", assertion=mila.passkey.sign(_about_making(mila)))
    mila.passkey.count = 10

    answer = approve(mila, world, name, mila.passkey.sign(question(mila, world, name).json()))

    assert answer.status_code == 403
    assert "it may have been copied" in answer.json()["detail"]
    assert world.candidate(name).approvals == ()


def _about_making(browser):
    return post(browser, "challenges", says="make a passkey", subject=browser.name).json()


def test_a_revoked_passkey_speaks_for_nobody_and_its_approval_is_void(world, mila):
    name = world.propose()
    approve(mila, world, name, mila.passkey.sign(question(mila, world, name).json()))
    key = mila.get("/api/v1/passkeys").json()[0]["key_id"]
    gone = mila.http.delete(f"/api/v1/passkeys/{key}", headers={"X-Form-Token": mila.token()})
    world.step(name)

    assert gone.status_code == 204
    assert mila.get("/api/v1/passkeys").json() == []
    assert world.people.keys() == {}
    assert post(mila, "challenges", says="reject", subject=name, about="x", reason="x").status_code == 409
    assert world.candidate(name).phase is not Phase.APPROVED


def _revoked_by_root(world):
    key = next(iter(world.people.keys()))
    world.people.revoke_key(key[:16], "stolen", by="rita", now=world.now)


def _revoked_by_an_older_version(world):
    """The fact without the row, as `people revoke-key` wrote it once."""
    key = next(iter(world.people.keys()))
    gone = SigningKeyRevoked(at=world.now, actor="rita", person="mila", key_id=key, reason="stolen")
    world.ledger.append("people", (gone,))


@pytest.mark.parametrize("take", [_revoked_by_root, _revoked_by_an_older_version])
def test_a_passkey_that_was_revoked_by_command_line_decides_nothing_and_enrols_no_other(world, mila, take):
    name = world.propose()
    about_making, about_rejecting = _about_making(mila), question(mila, world, name, says="reject").json()
    take(world)

    enrolling = post(mila, "passkey-options", assertion=mila.passkey.sign(about_making))
    got = json.dumps(mila.passkey.sign(about_rejecting))
    rejecting = mila.send(name, "reject", klass="rate", reason=REASON, password="", assertion=got)

    assert (enrolling.status_code, rejecting.status_code) == (403, 403)
    assert mila.get("/api/v1/passkeys").json() == []
    assert world.candidate(name).phase is Phase.PENDING_APPROVAL


def test_revoking_by_command_line_closes_the_row_with_the_fact(world, mila):
    _revoked_by_root(world)

    assert [one.revoked_at for one in world.ledger.doors.passkeys("mila")] == [world.now]
    assert world.ledger.verify() == []


def test_a_session_alone_registers_no_passkey(world, app):
    timo, key = visitor(app, "timo"), SoftPasskey(HOME, RP)
    assert post(timo, "passkey-options", password="wrong password").status_code == 403
    assert post(timo, "passkeys", credential=key.make({"challenge": "AAAA"}), label="x").status_code == 403

    assert timo.get("/api/v1/passkeys").json() == []


def test_a_passkey_is_registered_once_and_for_one_person(world, app, mila):
    timo = visitor(app, "timo")
    options = post(timo, "passkey-options", password=PASSWORD).json()

    answer = post(timo, "passkeys", credential=mila.passkey.make(options), label="stolen")

    assert answer.status_code == 409
    assert "registered already" in answer.json()["detail"]
    assert timo.get("/api/v1/passkeys").json() == []


def test_a_form_with_a_passkey_rejects_without_a_password(world, mila):
    name = world.propose()
    got = mila.passkey.sign(question(mila, world, name, reason="too high", says="reject").json())

    answer = mila.send(name, "reject", klass="rate", reason="too high", password="", assertion=json.dumps(got))

    assert answer.status_code == 303
    assert world.candidate(name).phase is Phase.REJECTED


def test_an_address_that_is_a_number_elsewhere_allows_no_passkeys_and_the_page_says_so(world):
    app = application(world, public_url="http://10.1.2.3:8080")
    browser = Browser(app, "mila", "http://10.1.2.3:8080")

    assert post(browser, "passkey-options", password=PASSWORD).status_code == 409
    assert "Browsers allow passkeys only at a name" in browser.get("/account").text
