"""The client of a retrigger elsewhere at what is none, at what is busy, and at addresses that are none."""

import json
import ssl
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemon.errors import ServerError
from daemon.remote import Remote, address_of
from tests.unit.daemon.foreign_server import GOOD, HTML, PROBLEM, foreign, look
from tests.unit.daemon.test_desks import free_port


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


def test_a_word_that_a_killed_page_left_under_way_is_neither_refused_nor_done():
    detail = b'{"title": "It is under way", "detail": "the first request is not answered yet"}'
    under_way, waits = (409, {"Retry-After": "1", **PROBLEM}, detail), []
    with foreign(under_way) as (where, kind), closing(Remote(f"http://{where}", keys=str, sleep=waits.append)) as far:
        with pytest.raises(ServerError, match="whether this was recorded is not known: look first"):
            far.say("/daemon/pause", {"reason": "the rate", "password": "x"})

        assert kind.asked == 5
    assert waits == [1.0] * 4


def test_a_pause_that_is_no_number_is_not_taken_for_one():
    waits = []
    with foreign((503, {"Retry-After": "\u00b2", **HTML}, b""), GOOD) as (where, _):
        found = look(f"http://{where}", waits)

    assert found.name == "mila"
    assert waits == [0.5]


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
