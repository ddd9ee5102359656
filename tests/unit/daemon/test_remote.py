"""The client of a retrigger elsewhere: what is lost, what is stale, what is no retrigger, and what is said then."""

import json
import ssl
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from daemon.cli import app as verbs
from daemon.cli.kept_login import file_of
from daemon.decisions import code_of
from daemon.errors import LoginRefusedError, RefusedError, ServerError, StalePageError
from daemon.remote import Remote, address_of
from daemon.web.serve import serve_page
from tests.unit.daemon.page_world import PASSWORD, PUBLIC_URL, PageWorld
from tests.unit.daemon.test_desks import free_port, served
from tests.unit.daemon.web_visitors import InProcess, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


class Line(httpx.BaseTransport):
    """The way to a page: it may lose what is sent, or what is answered, and lead to a page that was restarted."""

    def __init__(self, *apps, lose_answers=0, lose_questions=0):
        self.pages = [InProcess(one) for one in apps]
        self.lose_answers, self.lose_questions, self.sent = lose_answers, lose_questions, []

    def handle_request(self, request):
        word = request.method == "POST" and "/session" not in request.url.path
        if word and self.lose_questions:
            self.lose_questions -= 1
            raise httpx.WriteError("broken pipe", request=request)
        answer = self.pages[0].handle_request(request)
        if word:
            self.sent.append(request.headers.get("idempotency-key"))
        if word and self.lose_answers:
            self.lose_answers -= 1
            self.pages = self.pages[1:] or self.pages
            raise httpx.ReadTimeout("", request=request)
        return answer


def remote(line, waits=None):
    keys = (f"key-{number}" for number in range(9))
    waits = [] if waits is None else waits
    return Remote(PUBLIC_URL, keys=lambda: next(keys), sleep=waits.append, transport=line)


def approve(far, world, name):
    body = {"code": code_of(world.candidate(name)), "reason": "convincing", "password": PASSWORD}
    return far.say(f"/candidates/{name}/approve", body, about=world.candidate(name).request.request_id)


@pytest.mark.parametrize("lost", [{"lose_answers": 2}, {"lose_questions": 2}, {"lose_answers": 1, "lose_questions": 1}])
def test_a_word_whose_answer_was_lost_is_said_once(world, lost):
    name, waits = world.propose(), []
    line = Line(application(world), **lost)
    with closing(remote(line, waits)) as far:
        far.log_in("mila", PASSWORD)
        told = approve(far, world, name)

    assert told["missing_roles"] == ["trigger_oncall"]
    assert [one.person for one in world.candidate(name).approvals] == ["mila"]
    assert set(line.sent) == {"key-0"}
    assert waits == [0.5, 1.0]


def test_a_page_that_was_restarted_meanwhile_hears_the_word_once(world):
    name = world.propose()
    line = Line(application(world), application(world), lose_answers=1)
    with closing(remote(line)) as far:
        far.log_in("mila", PASSWORD)
        told = approve(far, world, name)

    assert told["approvals"][0]["person"] == "mila"
    assert len(world.candidate(name).approvals) == 1
    assert line.sent == ["key-0", "key-0", "key-0"]


def test_a_session_of_a_login_that_ended_is_begun_anew_with_the_password_of_the_word(world):
    name, line = world.propose(), Line(application(world), application(world), lose_answers=1)
    with closing(remote(line)) as far:
        far.log_in("mila", PASSWORD)
        kept = far.cookie
    with closing(Remote(PUBLIC_URL, keys=lambda: "key", sleep=[].append, transport=line, cookie=kept)) as later:
        assert later.visitor().name == "mila"
        later.remember("mila", PASSWORD)
        approve(later, world, name)

    assert len(world.candidate(name).approvals) == 1


def test_a_word_that_is_never_answered_says_that_nobody_knows(world):
    name = world.propose()
    with closing(remote(Line(application(world), lose_answers=99))) as far:
        far.log_in("mila", PASSWORD)
        with pytest.raises(ServerError, match="whether this was recorded is not known: look first"):
            approve(far, world, name)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_session_is_kept_whatever_this_machine_is_called(world, host):
    with served(world) as url:
        there = url.replace("127.0.0.1", host)
        with closing(Remote(there, keys=str, sleep=[].append)) as far:
            far.log_in("mila", PASSWORD)
            kept = far.cookie
        with closing(Remote(there, keys=str, sleep=[].append, cookie=kept)) as later:
            found = later.visitor()
            later.log_out()
            gone = later.visitor()

    assert found.name == "mila"
    assert gone is None


def test_two_words_have_two_keys(world):
    line = Line(application(world))
    with closing(remote(line)) as far:
        far.log_in("timo", PASSWORD)
        for alarm in ("a-401002", "a-401003"):
            far.say(f"/alarms/{alarm}/acknowledge", {"reason": "on it"})

    assert line.sent == ["key-0", "key-1"]


def test_each_refusal_is_the_error_that_the_terminal_knows(world):
    name = world.propose()
    with closing(remote(Line(application(world)))) as far:
        far.log_in("mila", PASSWORD)
        code = code_of(world.candidate(name))
        said = {"code": code, "reason": "x", "password": PASSWORD}
        request = world.candidate(name).request.request_id
        yes = f"/candidates/{name}/approve"
        for error, path, body, about in (
            (StalePageError, yes, said, "0" * 64),
            (LoginRefusedError, yes, {**said, "password": "wrong"}, request),
            (RefusedError, yes, {**said, "reason": " "}, request),
            (RefusedError, f"/candidates/{name}/rollback", {"reason": "x", "password": PASSWORD}, ""),
            (ServerError, yes, {**said, "person": "timo"}, request),
            (ServerError, yes, said, ""),
            (ServerError, "/nothing", {}, ""),
        ):
            with pytest.raises(error) as told:
                far.say(path, body, about=about)
            assert type(told.value) is error, path
        with pytest.raises(RefusedError, match="no candidate"):
            far.read("/candidates/c-9999")
        with pytest.raises(ServerError, match="an older retrigger"):
            far.read("/of-next-year")

    assert world.candidate(name).approvals == ()


def test_a_session_that_ended_says_how_to_log_in_again(world):
    line = Line(application(world))
    with closing(remote(line)) as far:
        far.log_in("mila", PASSWORD)
        cookie = far.cookie
    world.people.set_password("mila", PASSWORD, by="mila", now=world.now)
    with closing(Remote(PUBLIC_URL, keys=str, sleep=lambda _: None, transport=line, cookie=cookie)) as later:
        assert later.visitor() is None
        with pytest.raises(LoginRefusedError, match=r"retrigger login --server http://127\.0\.0\.1:8080"):
            later.read("/status")


class Foreign(BaseHTTPRequestHandler):
    """Something else that answers: what it says, a test says."""

    answers = ()
    asked = 0

    def do_GET(self):
        status, headers, body = self.answers[min(type(self).asked, len(self.answers) - 1)]
        type(self).asked += 1
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def foreign(*answers, context=None):
    kind = type("Saying", (Foreign,), {"answers": answers})
    server = HTTPServer(("127.0.0.1", 0), kind)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", kind
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def look(url, waits=None):
    """Ask a server who is logged in, as the first thing that every verb does."""
    with closing(Remote(url, keys=str, sleep=[].append if waits is None else waits.append)) as far:
        return far.visitor()


HTML = {"Content-Type": "text/html"}
PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, HTML, b"<h1>Welcome</h1>"), "is no retrigger: expected JSON of /api/v1, found 200 and text/html"),
        ((200, {"Content-Type": "application/json"}, b'{"status": "up"}'), "is no retrigger: expected a session"),
        ((404, HTML, b"not here"), "is no retrigger"),
        ((302, {"Location": "https://auth.example/sso"}, b""), "sends on to https://auth.example/sso"),
        (
            (421, {"Content-Type": "text/plain"}, b"this page answers as https://a only"),
            "refuses this: this page answers",
        ),
        ((503, HTML, b"bad gateway"), "is too busy or down: 503"),
        ((500, PROBLEM, b'{"title": "The page broke", "detail": "look at its log"}'), "500 The page broke: look at"),
    ],
)
def test_what_is_no_retrigger_or_cannot_answer_is_said_before_a_password_goes_there(answer, said):
    with foreign(answer) as (where, kind), pytest.raises(ServerError) as told:
        look(f"http://{where}")

    assert said in str(told.value)
    assert kind.asked == (5 if answer[0] == 503 else 1)


def test_a_server_that_asks_for_a_pause_gets_it_and_is_asked_again():
    busy = (503, {"Retry-After": "3", **HTML}, b"")
    session = {"person": "mila", "roles": ["ml_expert"], "form_token": "t"}
    good = (200, {"Content-Type": "application/json"}, json.dumps(session).encode())
    waits = []
    with foreign(busy, (429, {"Retry-After": "999", **HTML}, b""), good) as (where, _):
        found = look(f"http://{where}", waits)

    assert found.name == "mila"
    assert waits == [3.0, 10.0]


def test_a_port_where_nobody_listens_is_said_at_once():
    waits = []
    with pytest.raises(ServerError, match=r"cannot be reached: .*check the address, the network"):
        look(f"http://127.0.0.1:{free_port()}", waits)

    assert waits == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(tz=UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "retrigger test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


GOOD = (200, {"Content-Type": "application/json"}, b'{"person": "mila", "roles": [], "form_token": "t"}')


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_that_is_named_is_taken(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with foreign(GOOD, context=context) as (where, _):
        with pytest.raises(ServerError, match=r"certificate that is not trusted here: .*SSL_CERT_FILE"):
            look(f"https://{where}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        found = look(f"https://{where}")

    assert found.name == "mila"


def test_https_where_only_http_is_spoken_is_said():
    with foreign(GOOD) as (where, _), pytest.raises(ServerError, match="does not speak https"):
        look(f"https://{where}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://trigger.cern.ch", "unencrypted to trigger.cern.ch; say https://trigger.cern.ch"),
        ("https://mila:secret@trigger.cern.ch", "which others on this machine can read"),
        ("https://trigger.cern.ch/axo", "answers at the root of its host"),
        ("ftp://trigger.cern.ch", "no address of a server"),
        ("https://", "no address of a server"),
        ("https://trigger.cern.ch:port", "is no address"),
        ("https://trig ger.cern.ch", "is no address"),
        ("https://[::1", "is no address"),
        ("https://a..b", "is no address"),
    ],
)
def test_an_address_that_is_none_or_tells_a_password_is_refused(text, said):
    with pytest.raises(ServerError) as told:
        address_of(text)

    assert said in str(told.value)
    assert "secret" not in str(told.value)


def test_an_address_may_be_short_and_loopback_may_be_plain():
    assert address_of("trigger.cern.ch") == "https://trigger.cern.ch"
    assert address_of("https://trigger.cern.ch/api/v1/") == "https://trigger.cern.ch"
    assert address_of("http://[::1]:8080/") == "http://[::1]:8080"
    assert address_of("http://localhost:8080") == "http://localhost:8080"
    assert address_of("http://trigger", plain_http=True) == "http://trigger"


@pytest.fixture
def laptop(tmp_path, monkeypatch):
    """A terminal on a laptop: no ledger, a home of its own; returns what a verb printed and how it left."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "laptop"))
    monkeypatch.chdir(tmp_path)

    def say(*words, person="mila", stdin=f"{PASSWORD}\n"):
        asked = [*words, "--person", person, "--password-stdin"] if person else list(words)
        return CliRunner().invoke(verbs, asked, input=stdin)

    return say


def test_an_on_call_expert_logs_in_looks_and_decides_from_a_laptop(world, laptop, monkeypatch):
    name = world.propose()
    with served(world) as url:
        monkeypatch.setenv("RETRIGGER_SERVER", url)
        entered = laptop("login")
        shown = laptop("show", name, person="")
        code = code_of(world.candidate(name))
        said = laptop("approve", name, "--code", code, "--reason", "convincing")
        listed = laptop("candidates", "--json", person="")
        left = laptop("logout", person="")
        after = laptop("show", name, person="")

    assert "mila (ml_expert) is logged in" in entered.output
    assert f"--code {code}" in shown.output
    assert f"{name} is now pending_approval" in said.output
    assert url in said.output
    assert json.loads(listed.output)["approvals"][0]["person"] == "mila"
    assert "mila is logged out" in left.output
    assert isinstance(after.exception, LoginRefusedError)
    assert world.candidate(name).approvals[0].reason == "convincing"


def test_a_kept_log_in_is_for_its_owners_eyes(world, laptop):
    with served(world) as url:
        laptop("login", "--server", url)
        path = file_of(url)
        mode, text = path.stat().st_mode & 0o777, path.read_text()
        path.chmod(0o644)
        seen = laptop("status", "--server", url, person="")

    assert mode == 0o600
    assert PASSWORD not in text
    assert isinstance(seen.exception, ServerError)
    assert "can be read by others" in str(seen.exception)


def test_a_verb_without_a_kept_log_in_leaves_no_session_behind(world, laptop):
    port = free_port()
    app = application(world, public_url=f"http://127.0.0.1:{port}")
    page = serve_page(app, f"127.0.0.1:{port}")
    told = laptop("alarms", "--server", (url := page.url), "--json", person="vera")
    refused = laptop("pause", "--server", url, "--reason", "because", person="vera")
    page.stop()

    assert [json.loads(line)["id"] for line in told.output.splitlines()] == ["a-401002", "a-401003"]
    assert isinstance(refused.exception, RefusedError)
    assert app.state.office.sessions._kept == {}
    assert not file_of(url).exists()


def test_a_server_and_a_configuration_are_not_both_meant(world, laptop, monkeypatch):
    both = laptop("status", "--server", "https://a", "--config", "b.toml")
    monkeypatch.setenv("RETRIGGER_SERVER", "https://a.invalid")
    own = laptop("status", "--config", "b.toml")

    assert isinstance(both.exception, RefusedError)
    assert "not both" in str(both.exception)
    assert "b.toml" in str(own.exception)


def test_who_waits_for_a_busy_server_is_told_so(laptop):
    busy = (503, {"Retry-After": "0", **HTML}, b"")
    with foreign(busy, busy, GOOD, (200, {"Content-Type": "application/json"}, b"[]")) as (where, _):
        told = laptop("alarms", "--server", f"http://{where}", person="")

    assert told.stdout == "No alarm was raised.\n"
    assert told.stderr.count("does not answer yet; asked again in 0 s") == 2


def test_a_password_is_asked_for_after_the_server_was_reached(laptop):
    told = laptop("status", "--server", f"http://127.0.0.1:{free_port()}", stdin="")

    assert isinstance(told.exception, ServerError)
    assert "cannot be reached" in str(told.exception)
