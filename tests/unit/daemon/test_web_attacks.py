"""What somebody may try against the page: each is refused, and nothing is recorded."""

import re
from datetime import timedelta

import pytest

from daemon.decisions import code_of
from daemon.ledger.doors import UNDER_WAY
from daemon.lifecycle import Phase
from daemon.people import FREE_FAILURES
from daemon.web.sessions import IDLE
from retrain.digest import digest_of
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def api(browser, world, name, verb="approve", key="", token=None, etag=None, **body):
    token = browser.token() if token is None else token
    etag = etag or f'"{world.candidate(name).request.request_id}"'
    words = {"code": code_of(world.candidate(name)), "reason": "convincing", "password": PASSWORD}
    headers = {"If-Match": etag, "X-Form-Token": token, **({"Idempotency-Key": key} if key else {})}
    return browser.http.post(f"/api/v1/candidates/{name}/{verb}", json={**words, **body}, headers=headers)


@pytest.mark.parametrize("door", ["/login", "/api/v1/session"])
def test_a_stranger_at_the_log_in_makes_nobody_wait_who_is_inside(world, door):
    app = application(world)
    timo, stranger = Browser(app, "timo"), Browser(app)
    tried = {"name": "timo", "password": "wrong password"}

    def knock(**more):
        return stranger.http.post(door, **({"json": tried | more} if "api" in door else {"data": tried | more}))

    answers = [knock().status_code for _ in range(FREE_FAILURES + 2)]
    waits = knock(password=PASSWORD).status_code
    proof = post_proof(timo)
    world.people.set_password("timo", "another long password", by="rita", now=world.now)

    assert answers == [403] * (FREE_FAILURES + 2)
    assert waits == 403
    assert proof.status_code == 200, proof.text
    assert world.people.check_password("timo", "another long password", world.now).name == "timo"
    assert knock(password="another long password").status_code in {200, 303}


def test_wrong_passwords_inside_a_session_make_its_person_wait(world):
    timo = Browser(application(world), "timo")
    for _ in range(FREE_FAILURES + 1):
        post_proof(timo, "wrong password")

    assert post_proof(timo).status_code == 403


def post_proof(browser, password=PASSWORD):
    """Ask to register a passkey, which takes a proof of who is there."""
    path, headers = "/api/v1/passkey-options", {"X-Form-Token": browser.token()}
    return browser.http.post(path, json={"password": password}, headers=headers)


def test_a_write_without_the_token_of_its_session_is_refused(world):
    name, app = world.propose(), application(world)
    mila, timo = Browser(app, "mila"), Browser(app, "timo")

    assert [api(mila, world, name, token=token).status_code for token in ("", "guess", timo.token())] == [403] * 3
    assert world.candidate(name).approvals == ()


def test_a_form_that_another_site_sends_as_json_or_as_text_is_refused(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    headers = {"If-Match": "x", "origin": "https://evil.example", "content-type": "text/plain"}

    answer = mila.http.post(f"/api/v1/candidates/{name}/approve", content=b"{}", headers=headers)

    assert answer.status_code == 403
    assert world.candidate(name).approvals == ()


def test_a_write_sent_twice_under_one_key_is_done_once_and_answered_twice_alike(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    token, etag = mila.token(), f'"{world.candidate(name).request.request_id}"'
    first = api(mila, world, name, key="k-1", token=token, etag=etag)
    head = world.ledger.head()

    again = api(mila, world, name, key="k-1", token=token, etag=etag)

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"]
    assert world.ledger.head() == head


def test_a_key_that_was_used_for_something_else_is_422(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    api(mila, world, name, key="k-1")

    other = api(mila, world, name, key="k-1", reason="another reason")
    verb = api(mila, world, name, verb="reject", key="k-1", klass="rate")

    assert [other.status_code, verb.status_code] == [422, 422]
    assert world.candidate(name).phase is Phase.PENDING_APPROVAL


def test_a_key_is_its_persons_own(world):
    name, app = world.propose(), application(world)
    api(Browser(app, "mila"), world, name, key="k-1")

    answer = api(Browser(app, "timo"), world, name, key="k-1")

    assert answer.status_code == 200
    assert world.candidate(name).phase is Phase.APPROVED


def test_a_wrong_password_under_a_key_may_be_mended_and_no_password_is_kept(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")

    assert api(mila, world, name, key="k-1", password="not my password").status_code == 403
    assert api(mila, world, name, key="k-1").status_code == 200
    kept = world.ledger.doors.keep("mila", "k-1", "x", world.now)
    assert PASSWORD not in repr(kept)


def test_what_the_rules_refused_for_now_is_asked_anew_under_the_same_key(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    before, world.certifier.word = world.certifier.word, "one run is being looked at"
    refused = api(mila, world, name, key="k-1")
    world.certifier.word = before

    taken = api(mila, world, name, key="k-1")

    assert refused.status_code == 409
    assert "changed since it was proposed" in refused.json()["detail"]
    assert taken.status_code == 200
    assert "idempotent-replayed" not in taken.headers


def test_an_answer_that_is_under_way_is_waited_for_and_one_that_was_cut_off_is_begun_anew(world):
    name, app = world.propose(), application(world)
    rows, body = world.ledger.doors, {"code": code_of(world.candidate(name)), "reason": "convincing", "role": ""}
    what = f"approve {name} {world.candidate(name).request.request_id}"
    rows.keep("mila", "k-1", digest_of([what, body]), world.now)

    early = api(Browser(app, "mila"), world, name, key="k-1")
    world.now += UNDER_WAY + timedelta(seconds=1)
    late = api(Browser(app, "mila"), world, name, key="k-1")

    assert (early.status_code, early.headers["retry-after"]) == (409, "1")
    assert early.json()["title"] == "It is under way"
    assert late.status_code == 200


def test_a_word_that_was_recorded_cannot_be_sent_again(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    code = code_of(world.candidate(name))
    assert mila.send(name, "approve", seen, code=code).status_code == 303
    head = world.ledger.head()

    assert mila.send(name, "approve", seen, code=code).status_code == 409
    assert world.ledger.head() == head


@pytest.mark.parametrize("name", ["c-9999", "daemon", "people", "L1_AXO", "ZeroBias", "..%2f..%2fetc", "c-0001%00"])
def test_a_name_that_is_no_candidates_reads_and_writes_nothing(world, name):
    real = world.propose()
    mila = Browser(application(world), "mila")
    token, head = mila.token(), world.ledger.head()
    headers = {"If-Match": "x", "X-Form-Token": token}
    body = {"code": "x", "reason": "x", "password": PASSWORD}

    assert mila.get(f"/api/v1/candidates/{name}").status_code == 404
    assert mila.get(f"/candidates/{name}").status_code == 404
    written = mila.http.post(f"/api/v1/candidates/{name}/approve", json=body, headers=headers)
    assert written.status_code in {404, 409}
    assert world.candidate(real).request.request_id not in written.text
    assert world.ledger.head() == head


def test_a_persons_passkey_is_nobody_elses_to_revoke(world):
    mila, timo = (Browser(application(world), name) for name in ("mila", "timo"))
    answer = mila.http.delete("/api/v1/passkeys/" + "0" * 64, headers={"X-Form-Token": mila.token()})

    assert answer.status_code == 409
    assert timo.get("/api/v1/passkeys").json() == []


def test_a_session_that_was_there_before_the_log_in_does_not_become_somebodys(world):
    app = application(world)
    victim, attacker = Browser(app), Browser(app, "vera")
    planted = attacker.http.cookies.get("retrigger")
    victim.http.cookies.set("retrigger", planted, domain="127.0.0.1", path="/")

    victim.http.post("/login", data={"name": "mila", "password": PASSWORD})

    assert victim.get("/api/v1/session").json()["person"] == "mila"
    assert attacker.get("/").status_code == 303
    assert victim.http.cookies.get("retrigger", domain="127.0.0.1", path="/") != planted


def test_a_log_in_by_the_api_takes_a_new_token_too(world):
    app = application(world)
    mila = Browser(app)
    mila.http.cookies.set("retrigger", "planted", domain="127.0.0.1", path="/")
    told = mila.http.post("/api/v1/session", json={"name": "mila", "password": PASSWORD})
    wrong = Browser(app).http.post("/api/v1/session", json={"name": "mila", "password": "no"})

    assert told.json()["person"] == "mila"
    assert told.json()["form_token"] == mila.token()
    assert mila.http.cookies.get("retrigger", domain="127.0.0.1", path="/") not in {None, "planted"}
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers


def test_the_api_logs_out(world):
    mila = Browser(application(world), "mila")

    assert mila.http.delete("/api/v1/session", headers={"X-Form-Token": mila.token()}).status_code == 204
    assert mila.get("/api/v1/session").status_code == 401


def test_a_stale_page_is_412_by_the_api_and_by_the_form(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    etag = mila.get(f"/api/v1/candidates/{name}").headers["etag"]
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    code = code_of(world.candidate(name))
    world.certifier.word = "one run was taken back"
    world.step(name)

    assert api(mila, world, name, etag=etag).status_code == 412
    assert mila.send(name, "approve", seen, code=code).status_code == 412
    assert world.candidate(name).approvals == ()


def test_a_clock_that_jumps_on_ends_sessions_and_requests_and_one_that_jumps_back_brings_neither_again(world):
    name, app = world.propose(), application(world)
    mila, before = Browser(app, "mila"), world.now
    world.now += timedelta(days=1)
    assert mila.get("/").status_code == 303
    late = Browser(app, "timo")
    assert late.send(name, "approve", code=code_of(world.candidate(name))).status_code == 409
    world.step(name)

    world.now = before
    assert mila.get("/").status_code == 303
    assert world.candidate(name).phase is Phase.EXPIRED
    assert "approve" not in late.get(f"/candidates/{name}").text


def test_a_session_is_not_kept_alive_by_a_clock_that_goes_back(world):
    app = application(world)
    mila, begun = Browser(app, "mila"), world.now
    for _ in range(3):
        world.now = begun - timedelta(hours=1)
        assert mila.get("/").status_code == 200
    world.now = begun + IDLE + timedelta(seconds=1)

    assert mila.get("/").status_code == 303


def test_who_asks_is_never_taken_from_a_header_that_nobody_configured(world):
    browser = Browser(application(world))
    for header in ("x-remote-user", "x-forwarded-user", "remote-user", "x-forwarded-for"):
        browser.http.headers[header] = "mila"

    assert browser.get("/").status_code == 303
    assert browser.get("/api/v1/session").status_code == 401
    assert not re.search("mila", browser.get("/login").text)


def test_a_run_that_no_record_can_hold_is_refused_and_breaks_nothing(world):
    answer = Browser(application(world), "vera").get(f"/api/v1/history?run={10**20}&lumisection=1")

    assert answer.status_code == 422, answer.text
    assert "query.run" in answer.json()["detail"]
