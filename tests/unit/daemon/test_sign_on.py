"""A single sign-on gives the roles that its groups give, to the one who signed on, and to nobody by a bad token."""

from datetime import timedelta

import pytest
from joserfc import jwk

from daemon.errors import PeopleError
from daemon.identities import confirm, link
from daemon.sign_on import SignOnRules
from daemon.web.office import Proxy
from tests.unit.daemon.issuer import CLIENT, SECRET, Issuer
from tests.unit.daemon.page_world import NOON, PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application

ROLES = {"axo-oncall": "trigger_oncall", "axo-experts": "ml_expert"}


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


@pytest.fixture
def issuer(world):
    def clock():
        return world.now.timestamp()

    made = Issuer(clock)
    yield made
    made.stop()


@pytest.fixture
def app(world, issuer):
    rules = SignOnRules(
        issuer=issuer.url, client_id=CLIENT, client_secret=SECRET, roles=ROLES, all_accounts_from_issuer=True
    )
    return application(world, sign_on_rules=rules)


@pytest.fixture
def beside(world, issuer):
    """The page of a site where people may have local accounts too."""
    rules = SignOnRules(issuer=issuer.url, client_id=CLIENT, client_secret=SECRET, roles=ROLES)
    return application(world, sign_on_rules=rules)


def there(app, to="/"):
    browser = Browser(app)
    return browser, browser.get(f"/login/sso?to={to}").headers["location"]


def sign_on(app, issuer, to="/"):
    browser, address = there(app, to)
    return browser, browser.get(issuer.log_in(address))


def test_a_group_gives_its_role_and_the_browser_goes_where_it_was_going(app, issuer):
    browser, answer = sign_on(app, issuer, "/account")

    assert answer.status_code == 200
    assert 'content="0;url=/account"' in answer.text
    assert browser.get("/api/v1/session").json()["person"] == "anna"
    assert browser.get("/api/v1/session").json()["roles"] == ["trigger_oncall"]


def test_roles_follow_the_groups_at_every_sign_on_and_unknown_groups_give_none(app, issuer, world):
    sign_on(app, issuer)
    issuer.user["groups"] = ["axo-experts", "everybody", "root"]
    sign_on(app, issuer)
    assert world.people.roles()["anna"] == {"ml_expert"}

    issuer.user["groups"] = []
    browser, _ = sign_on(app, issuer)

    assert world.people.roles()["anna"] == frozenset()
    assert browser.get("/api/v1/session").json()["roles"] == []
    assert world.ledger.verify() == []


SPOILT = {
    "another audience": {"aud": "another-client"},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": int((NOON - timedelta(hours=1)).timestamp())},
    "not yet valid": {"nbf": int((NOON + timedelta(hours=1)).timestamp())},
    "issued in the future": {"iat": int((NOON + timedelta(hours=1)).timestamp())},
    "another nonce": {"nonce": "replayed"},
    "no nonce": {"nonce": None},
    "no subject": {"sub": None},
    "no expiry": {"exp": None},
    "for two, by another": {"aud": [CLIENT, "b"], "azp": "b"},
    "groups that are no list": {"groups": "axo-oncall"},
}


@pytest.mark.parametrize("claims", SPOILT.values(), ids=SPOILT)
def test_a_token_that_does_not_hold_lets_nobody_in(app, issuer, world, claims):
    issuer.claims = claims
    browser, answer = sign_on(app, issuer)

    assert answer.status_code == 403
    assert browser.get("/").status_code == 303
    assert "anna" not in world.people.roles()


def test_a_token_signed_by_another_key_lets_nobody_in(app, issuer, world):
    issuer.key = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
    _, answer = sign_on(app, issuer)

    assert answer.status_code == 403
    assert "anna" not in world.people.roles()


def test_a_token_signed_with_the_public_key_as_a_shared_secret_lets_nobody_in(app, issuer, world):
    issuer.shared = issuer.key.as_pem(private=False)
    _, answer = sign_on(app, issuer)

    assert answer.status_code == 403
    assert "anna" not in world.people.roles()


def test_an_answer_is_taken_once_by_the_browser_that_asked_and_within_ten_minutes(app, issuer, world):
    browser, address = there(app)
    back = issuer.log_in(address)
    assert Browser(app).get(back).status_code == 403  # another browser: the answer is spent all the same
    assert browser.get(back).status_code == 403

    browser, address = there(app)
    back = issuer.log_in(address)
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 403

    browser, address = there(app)
    back = issuer.log_in(address)
    world.now += timedelta(minutes=11)
    assert browser.get(back).status_code == 403


def test_a_code_without_its_verifier_is_worth_nothing(app, issuer):
    _, address = there(app)
    code = issuer.log_in(address).split("code=")[1].split("&")[0]

    assert issuer.token({"code": code, "code_verifier": "guess"}, None)[0] == 400


def test_a_name_that_is_taken_is_not_handed_over_until_somebody_on_the_host_links_it(app, issuer, world):
    issuer.user["preferred_username"] = "mila"
    browser, answer = sign_on(app, issuer)
    assert answer.status_code == 403
    assert "retrigger people link mila" in answer.text
    assert browser.get("/").status_code == 303

    link(world.ledger, "mila", issuer.url, "4711", by="root", now=world.now)
    browser, _ = sign_on(app, issuer)

    assert browser.get("/api/v1/session").json()["person"] == "mila"
    assert world.people.roles()["mila"] == {"trigger_oncall"}


def test_beside_local_accounts_a_first_sign_on_holds_no_role_until_a_root_confirms_it(beside, issuer, world):
    browser, first = sign_on(beside, issuer)
    sign_on(beside, issuer)
    assert "retrigger people link anna" in first.text
    assert browser.get("/api/v1/session").json()["roles"] == []
    assert world.people.roles()["anna"] == frozenset()

    said = confirm(world.ledger, "anna", by="rita", now=world.now)
    _, again = sign_on(beside, issuer)

    assert (said.issuer, said.identity, said.actor) == (issuer.url, "4711", "rita")
    assert "retrigger people link" not in again.text
    assert world.people.roles()["anna"] == {"trigger_oncall"}
    assert world.ledger.verify() == []


def test_who_signed_on_beside_a_local_account_is_linked_to_it_and_counts_once(beside, issuer, world):
    browser, _ = sign_on(beside, issuer)
    link(world.ledger, "mila", issuer.url, "4711", by="rita", now=world.now)
    assert browser.get("/").status_code == 303
    again, _ = sign_on(beside, issuer)

    assert again.get("/api/v1/session").json()["person"] == "mila"
    assert "anna" not in world.people.roles()
    assert world.people.roles()["mila"] == {"trigger_oncall"}
    with pytest.raises(PeopleError, match="opens the account of mila already"):
        link(world.ledger, "timo", issuer.url, "4711", by="rita", now=world.now)


@pytest.mark.parametrize("name", ["mila", "nobody", "anna"])
def test_only_an_open_account_of_a_first_sign_on_is_confirmed_and_once(beside, issuer, world, name):
    sign_on(beside, issuer)
    confirm(world.ledger, "anna", by="rita", now=world.now)
    head = world.ledger.head()

    with pytest.raises(PeopleError):
        confirm(world.ledger, name, by="rita", now=world.now)
    assert world.ledger.head() == head


def test_who_signed_on_is_known_by_subject_not_by_name(app, issuer, world):
    sign_on(app, issuer)
    issuer.user |= {"sub": "4712"}
    _, stranger = sign_on(app, issuer)
    issuer.user |= {"sub": "4711", "preferred_username": "anna.renamed"}
    browser, _ = sign_on(app, issuer)

    assert stranger.status_code == 403
    assert browser.get("/api/v1/session").json()["person"] == "anna"


def test_a_closed_account_stays_closed_to_the_sign_on(app, issuer, world):
    sign_on(app, issuer)
    world.people.revoke("anna", "left", by="root", now=world.now)
    _, answer = sign_on(app, issuer)

    assert answer.status_code == 403
    assert "is closed" in answer.text


def test_an_account_of_the_sign_on_has_no_password(app, issuer):
    sign_on(app, issuer)
    for password in ("", "!", PASSWORD):
        assert Browser(app).http.post("/login", data={"name": "anna", "password": password}).status_code == 403


def test_an_issuer_that_is_another_or_away_is_said_and_local_accounts_still_work(app, issuer):
    issuer.issuer_said = "https://evil.example"
    assert Browser(app).get("/login/sso").status_code == 502
    issuer.stop()
    away = Browser(app).get("/login/sso")

    assert away.status_code == 502
    assert "local accounts still work" in away.text
    assert Browser(app, "mila").get("/").status_code == 200


def test_without_a_sign_on_the_page_offers_none(world):
    app = application(world)

    assert "Single sign-on" not in Browser(app).get("/login").text
    assert Browser(app).get("/login/sso").status_code == 404
    assert Browser(app).get("/login/sso/answer?state=x&code=y").status_code == 404


def behind(world, sources, **headers):
    browser = Browser(application(world, proxy=Proxy("X-Remote-User", frozenset(sources))))
    browser.http.headers.update(headers)
    return browser


def test_a_trusted_proxy_names_people_that_have_an_account(world):
    mila = behind(world, ["127.0.0.1"], **{"X-Remote-User": "mila"})
    stranger = behind(world, ["127.0.0.1"], **{"X-Remote-User": "nobody"})

    assert mila.get("/login").status_code == 303
    assert mila.get("/api/v1/session").json()["person"] == "mila"
    assert stranger.get("/login").status_code == 200
    assert stranger.get("/").status_code == 303
    mila.http.headers["X-Remote-User"] = "timo"
    assert mila.get("/api/v1/session").status_code == 401


def test_a_header_that_did_not_come_from_the_proxy_or_while_none_is_configured_is_no_name(world):
    outside = behind(world, ["10.0.0.1"], **{"X-Remote-User": "mila"})
    plain = Browser(application(world))
    plain.http.headers["X-Remote-User"] = "mila"

    for browser in (outside, plain):
        assert browser.get("/login").status_code == 200
        assert browser.get("/api/v1/session").status_code == 401
