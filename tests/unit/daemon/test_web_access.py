"""Who may pass, and what the page refuses before any rule is asked."""

import re
from datetime import timedelta

import pytest

from daemon.decisions import code_of
from daemon.errors import LedgerError
from daemon.web.doors import local_path
from daemon.web.guard import LARGEST_BODY
from daemon.web.sessions import IDLE, LONGEST, MOST_OF_ONE_PERSON, Sessions
from tests.unit.daemon.page_world import NOON, PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application, client


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


READS = (
    "/",
    "/candidates/c-0001",
    "/alarms/a-401002",
    "/api/v1/session",
    "/api/v1/candidates",
    "/api/v1/candidates/c-0001",
)
WRITES = (
    "/candidates/c-0001/approve",
    "/candidates/c-0001/reject",
    "/candidates/c-0001/revoke",
    "/candidates/c-0001/rollback",
    "/faults/a-401002/close",
    "/logout",
)


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_a_log_in(world, path):
    world.propose()
    answer = Browser(application(world)).get(path)

    assert answer.status_code == (401 if path.startswith("/api/") else 303)
    assert "c-0001" not in answer.text


@pytest.mark.parametrize("path", WRITES)
def test_nobody_writes_without_a_log_in_or_without_the_token_of_the_form(world, path):
    world.propose()
    app, head = application(world), world.ledger.head()
    body = {"request_id": "x", "reason": "x", "password": PASSWORD, "code": "x", "klass": "physics"}

    assert Browser(app).http.post(path, data=body).headers["location"].startswith("/login")
    assert Browser(app, "mila").http.post(path, data=body).status_code == 403
    assert Browser(app, "mila").http.post(path, data={**body, "form_token": "guess"}).status_code == 403
    assert Browser(app, "mila").get(path).status_code == 405
    assert world.ledger.head() == head


def test_a_form_of_another_person_is_refused(world):
    name, app = world.propose(), application(world)
    theirs = Browser(app, "timo").fields(f"/candidates/{name}", f"/candidates/{name}/approve")

    assert Browser(app, "mila").send(name, "approve", theirs, code="x").status_code == 403


def test_the_name_in_a_form_is_not_believed(world):
    name, app = world.propose(), application(world)
    code = code_of(world.candidate(name))

    Browser(app, "mila").send(name, "approve", code=code, person="timo", actor="timo", role="trigger_oncall")

    assert [(one.person, one.role) for one in world.candidate(name).approvals] == [("mila", "ml_expert")]


def test_another_site_cannot_send_our_forms(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    body = {**mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve"), "password": PASSWORD, "reason": "x"}

    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert mila.http.post(f"/candidates/{name}/approve", data=body, headers=headers).status_code == 403
    assert mila.http.get("/", headers={"host": "evil.example"}).status_code == 421
    assert mila.http.get("/healthz", headers={"host": "10.0.0.1:8080"}).status_code == 200


def test_a_wrong_password_says_the_same_as_an_unknown_name(world):
    app = application(world)
    said = []
    for name, password in (("mila", "wrong password"), ("nobody", PASSWORD)):
        answer = Browser(app).http.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 403
        said.append(re.search(r'role="alert">([^<]+)', answer.text)[1])

    assert said[0] == said[1]


def test_a_log_in_gives_a_new_token_and_a_log_out_ends_it(world):
    app = application(world)
    mila = Browser(app)
    mila.http.cookies.set("retrigger", "a token that an attacker chose")
    mila.http.post("/login", data={"name": "mila", "password": PASSWORD})
    mine = mila.http.cookies.get("retrigger", domain="127.0.0.1", path="/")
    assert mine not in {None, "a token that an attacker chose"}

    mila.http.post("/logout", data={"form_token": mila.token()})
    mila.http.cookies.clear()
    mila.http.cookies.set("retrigger", mine, domain="127.0.0.1", path="/")

    assert mila.get("/").status_code == 303


def test_a_session_ends_when_it_is_not_used_and_when_the_account_is_closed(world):
    app = application(world)
    mila, timo = Browser(app, "mila"), Browser(app, "timo")
    world.people.revoke("timo", "left the experiment", by="root", now=NOON)
    assert timo.get("/").status_code == 303

    world.now += IDLE - timedelta(seconds=1)
    assert mila.get("/").status_code == 200
    world.now += IDLE + timedelta(seconds=1)
    assert mila.get("/").status_code == 303


def test_a_new_password_ends_every_open_session_of_its_person_and_nobody_elses(world):
    app = application(world)
    mila, elsewhere, timo = Browser(app, "mila"), Browser(app, "mila"), Browser(app, "timo")
    world.people.set_password("mila", PASSWORD, by="mila", now=NOON)

    assert [mila.get("/").status_code, elsewhere.get("/api/v1/session").status_code] == [303, 401]
    assert timo.get("/").status_code == 200
    assert Browser(app, "mila").get("/").status_code == 200


def test_new_roles_end_no_session(world):
    mila = Browser(application(world), "mila")
    world.people.set_roles("mila", ["viewer"], by="root", now=NOON)

    assert mila.get("/api/v1/session").json()["roles"] == ["viewer"]


def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites(world):
    plain = Browser(application(world)).http.post("/login", data={"name": "mila", "password": PASSWORD})
    app = application(world, public_url="https://retrigger.example")
    secure = client(app, "https://retrigger.example").post("/login", data={"name": "mila", "password": PASSWORD})

    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(plain.headers["set-cookie"].split("; "))
    assert secure.headers["set-cookie"].startswith("__Host-retrigger=")
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(secure.headers["set-cookie"].split("; "))
    assert "Domain" not in secure.headers["set-cookie"]
    assert secure.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\n"]
)
def test_a_log_in_never_leads_to_another_site(target):
    assert local_path(target) == "/"


def test_a_log_in_leads_back_to_where_one_was_going():
    assert local_path("/candidates/c-0001") == "/candidates/c-0001"


def test_every_answer_has_the_security_headers_errors_of_ours_included(world):
    class Blind:
        def candidates(self):
            raise ZeroDivisionError

    app = application(world, looks=Blind())
    mila = Browser(app, "mila")
    answers = {
        200: mila.get("/healthz"),
        303: Browser(app).get("/"),
        404: mila.get("/no-such-page"),
        421: mila.http.get("/", headers={"host": "evil.example"}),
        500: mila.get("/"),
    }

    for status, answer in answers.items():
        assert answer.status_code == status
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "what runs goes on running" in answers[500].text
    assert "ZeroDivisionError" not in answers[500].text


def test_no_page_has_a_script_or_a_style_in_it_or_anything_from_elsewhere(world):
    name = world.propose()
    world.open_fault()
    mila = Browser(application(world), "mila")

    for path in ("/", f"/candidates/{name}", "/login"):
        text = mila.get(path).text
        own = re.sub(r'<script src="/static/[\w.]+\.js" defer></script>', "", text)
        assert not re.search(r"<script|<style|style=|onclick|onload|https?://(?!www\.w3\.org)", own), path


def test_a_body_that_is_too_large_or_without_length_is_not_read(world):
    mila = Browser(application(world), "mila")

    assert mila.http.post("/login", data={"name": "x" * LARGEST_BODY}).status_code == 413
    endless = mila.http.build_request("POST", "/login", content=b"name=x")
    del endless.headers["content-length"]
    assert mila.http.send(endless).status_code == 411


def test_a_record_that_cannot_be_read_is_said_with_what_to_do(world):
    class Locked:
        def candidates(self):
            raise LedgerError("the ledger is locked by another process for 10 s; try again")

    answer = Browser(application(world, looks=Locked()), "mila").get("/")

    assert answer.status_code == 503
    assert "the ledger is locked by another process" in answer.text
    assert "Nothing was recorded, and what runs goes on running" in answer.text


def test_a_candidate_that_is_not_there_is_said(world):
    answer = Browser(application(world), "mila").get("/candidates/c-9999")

    assert answer.status_code == 404
    assert "there is no candidate" in answer.text


def counting_tokens():
    numbers = iter(range(10_000))
    return lambda: f"token-{next(numbers)}"


def test_a_session_ends_after_its_longest_time_however_much_it_is_used():
    sessions, now = Sessions(counting_tokens()), NOON
    token = sessions.begin("mila", now)
    while now - NOON <= LONGEST:
        assert sessions.find(token, now)
        now += IDLE / 2

    assert sessions.find(token, now) is None


def test_one_person_cannot_fill_the_memory_with_log_ins():
    sessions = Sessions(counting_tokens())
    others = sessions.begin("timo", NOON)
    tokens = [sessions.begin("mila", NOON + timedelta(seconds=number)) for number in range(50)]
    later = NOON + timedelta(minutes=1)

    assert sum(sessions.find(token, later) is not None for token in tokens) == MOST_OF_ONE_PERSON
    assert sessions.find(others, later)


def test_the_token_itself_is_not_kept():
    sessions = Sessions(counting_tokens())
    token = sessions.begin("mila", NOON)

    assert token not in repr(vars(sessions))
