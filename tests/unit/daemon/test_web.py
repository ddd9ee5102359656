"""What the page shows, whom it lets say what, and what it refuses."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from daemon.decisions import code_of
from daemon.errors import LedgerError
from daemon.lifecycle import Phase
from daemon.lifecycle import facts as f
from daemon.web import create_app
from daemon.web.doors import local_path
from daemon.web.guard import LARGEST_BODY
from daemon.web.sessions import IDLE, LONGEST, MOST_OF_ONE_PERSON, Sessions
from tests.unit.daemon.page_world import NOON, PASSWORD, PUBLIC_URL, SLOT, STREAM, PageWorld


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def application(world, public_url=PUBLIC_URL, looks=None):
    return create_app(
        world.ledger,
        world.people,
        looks or world.sight,
        world.policy,
        stream=STREAM,
        slot=SLOT,
        public_url=public_url,
        clock=lambda: world.now,
    )


class InProcess(httpx.BaseTransport):
    """Hands requests to the application without a socket; Starlette's own client wants a library we do not have."""

    def __init__(self, app):
        self.inner = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request):
        async def ask():
            answer = await self.inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


def client(app, base_url=PUBLIC_URL):
    return httpx.Client(transport=InProcess(app), base_url=base_url, follow_redirects=False)


class Browser:
    """Somebody at the page: keeps cookies, reads forms, fills them in."""

    def __init__(self, app, name="", base_url=PUBLIC_URL):
        self.http = client(app, base_url)
        self.name = name
        if name:
            answer = self.http.post("/login", data={"name": name, "password": PASSWORD})
            assert answer.status_code == 303, answer.text

    def get(self, path):
        return self.http.get(path)

    def fields(self, path, action):
        """Return the hidden fields of the form on a page that is sent to `action`."""
        text = self.get(path).text
        form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', text, re.DOTALL)
        assert form, f"no form to {action} on {path}"
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))

    def send(self, candidate, verb, fields=None, **filled):
        path = f"/candidates/{candidate}"
        hidden = self.fields(path, f"{path}/{verb}") if fields is None else fields
        body = {"reason": "the evidence is convincing", "password": PASSWORD, **hidden, **filled}
        return self.http.post(f"{path}/{verb}", data=body)

    def token(self):
        return self.http.get("/api/v1/session").json()["form_token"]


# --- saying yes and no --------------------------------------------------------------------------------------------


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
        assert vera.send(name, verb, fields, **extra).status_code == 409
    assert world.candidate(name).phase is Phase.PENDING_APPROVAL


def test_a_role_taken_away_counts_at_once(world):
    name, app = world.propose(), application(world)
    mila = Browser(app, "mila")
    seen = mila.fields(f"/candidates/{name}", f"/candidates/{name}/approve")
    world.people.set_roles("mila", ["viewer"], by="root", now=NOON)

    answer = mila.send(name, "approve", seen, code=code_of(world.candidate(name)))

    assert answer.status_code == 409
    assert "does not hold the role ml_expert" in answer.text


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
    assert close(vera, "I hope so").status_code == 409
    assert close(timo, "").status_code == 409
    assert close(timo, "HBHE power supply replaced").status_code == 303
    assert close(timo, "again").status_code == 409
    assert "Detector fault: Jet" not in timo.get("/").text


# --- what an approver sees ----------------------------------------------------------------------------------------


def test_what_speaks_against_a_candidate_comes_before_everything_that_speaks_for_it(world):
    text = Browser(application(world), "mila").get(f"/candidates/{world.propose()}").text
    headings = re.findall(r"<h2[^>]*>([^<]+)", text)

    assert [one.strip() for one in headings] == [
        "What is asked",
        "What speaks against it",
        "Why now",
        "What changes",
        "Physics",
        "Hardware",
        "Safety",
        "Provenance",
        "Your decision",
        "Its record",
    ]


def test_the_page_says_why_what_and_how_well_it_is_known(world):
    text = Browser(application(world), "mila").get(f"/candidates/{world.propose()}").text
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))

    for sentence in (
        "new weights, same architecture and bit widths",
        "9 of 9 gates passed",
        "Electron and photon momenta fell by about 4 %",
        "The fill was 55 lumisections old",
        "103 kHz to 201 kHz",
        "Mismatching vectors 0",
        "LUT, ESTIMATE",
        "Learned from 401003:12-80, 401003:101-160",
        "what runs now; one step, allowed at any time",
    ):
        assert sentence in plain, sentence


def test_an_open_fault_and_a_change_of_the_board_speak_against_it(world):
    name, app = world.propose(), application(world)
    world.open_fault()
    other = world.folder / "bundles" / world.candidate(name).bundle_digest
    world.target.deploy(other.name, other, token=2)

    text = Browser(app, "mila").get(f"/candidates/{name}").text

    assert "A detector fault is open: a-401002" in text
    assert "the running model" in text


def test_a_fault_is_drawn_where_it_is(world):
    world.open_fault()
    text = Browser(application(world), "timo").get("/").text

    assert 'class="box"' in text
    assert "eta -3 to -1.3" in text


def test_text_from_the_record_is_never_markup(world):
    alarm = {"verdict": "real_shift", "text": "<script>alert(1)</script>", "contributors": [], "onset": {}}
    fact = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a-9", alarm=alarm)
    world.ledger.append(STREAM, [fact])

    text = Browser(application(world), "mila").get("/").text

    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_silent_daemon_is_said_on_the_first_page(world):
    world.now += timedelta(minutes=10)

    assert "The daemon has said nothing for 10 min" in Browser(application(world), "mila").get("/").text


def test_an_empty_record_has_a_page_as_well(tmp_path):
    from daemon.ledger import Ledger
    from daemon.people import People
    from tests.unit.daemon.page_world import QUICK

    world = PageWorld.build(tmp_path / "full") if (tmp_path / "full").mkdir() is None else None
    with Ledger.open(f"sqlite:///{tmp_path / 'empty.db'}") as ledger:
        people = People(ledger, QUICK)
        people.add_person("mila", PASSWORD, ["ml_expert"], by="root", now=NOON)
        app = create_app(
            ledger,
            people,
            world.sight,
            world.policy,
            stream=STREAM,
            slot=SLOT,
            public_url=PUBLIC_URL,
            clock=lambda: NOON,
        )
        text = Browser(app, "mila").get("/").text
    world.ledger.close()

    assert "The daemon has never run on this record" in text


# --- who may pass -------------------------------------------------------------------------------------------------

READS = ("/", "/candidates/c-0001", "/api/v1/session", "/api/v1/candidates", "/api/v1/candidates/c-0001")
WRITES = (
    "/candidates/c-0001/approve",
    "/candidates/c-0001/reject",
    "/candidates/c-0001/revoke",
    "/candidates/c-0001/rollback",
    "/faults/a-401002/close",
    "/logout",
)


def test_every_route_is_in_the_table_of_this_test(world):
    paths = set(application(world).openapi()["paths"]) | {
        "/", "/healthz", "/login", "/logout", "/candidates/{candidate_id}",
    }  # fmt: skip
    known = {one.replace("c-0001", "{candidate_id}").replace("a-401002", "{alarm_id}") for one in (*READS, *WRITES)}
    api_writes = {f"/api/v1/candidates/{{candidate_id}}/{verb}" for verb in ("approve", "reject")}

    assert paths <= known | api_writes | {"/healthz", "/login"}


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


def test_no_page_has_a_script_a_style_of_its_own_or_anything_from_elsewhere(world):
    name = world.propose()
    world.open_fault()
    mila = Browser(application(world), "mila")

    for path in ("/", f"/candidates/{name}", "/login"):
        text = mila.get(path).text
        assert not re.search(r"<script|<style|style=|onclick|onload|https?://(?!www\.w3\.org)", text), path


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


# --- the API ------------------------------------------------------------------------------------------------------


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
        json={"klass": "rate", "reason": "too high", "password": PASSWORD},
        headers={"If-Match": tag, "X-Form-Token": carla.token()},
    )

    assert answer.json()["phase"] == "rejected"
    assert [one["phase"] for one in carla.get("/api/v1/candidates").json()] == ["rejected"]


def test_a_field_that_the_api_does_not_know_is_refused(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    body = {"code": "x", "reason": "x", "password": "x", "person": "timo"}
    answer = mila.http.post(f"/api/v1/candidates/{name}/approve", json=body, headers={"If-Match": "x"})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


# --- sessions -----------------------------------------------------------------------------------------------------


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
