"""Every channel against what it speaks to: a real Alertmanager, HTTP and SMTP servers on loopback, a real program."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from daemon.channels import MAYBE_TWICE, Alertmanager, Command, GrafanaNotes, Mail, Mattermost
from daemon.errors import DeliveryError
from daemon.lifecycle.announcing import Announcement
from dashboards.grafana import HttpGrafana
from tests.contract.fake_grafana import TOKEN, FakeGrafana, grafana_server
from tests.e2e.real_prometheus import alertmanager, free_port

NOW = datetime.now(tz=UTC).replace(microsecond=0)
LABELS = {"alertname": "RetriggerDetectorBroken", "stream": "ZeroBias", "severity": "page"}
ALARM = Announcement(
    key="k1" * 16,
    severity="page",
    title="ZeroBias: Jets are missing in a region",
    since="run 401002, lumisection 111",
    asked="shift leader: call the HCAL on-call",
    link="https://page/alarms/a",
    at=NOW,
    labels=LABELS,
    ends=NOW + timedelta(days=7),
)
SILENCE = replace(ALARM, key="k2" * 16, ends=None, quiet_until=NOW + timedelta(hours=2), by="timo", severity="info")
needs_alertmanager = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed"
)


@pytest.fixture(scope="module")
def real_alertmanager(tmp_path_factory):
    if shutil.which("prometheus-alertmanager") is None:
        pytest.skip("prometheus-alertmanager is not installed")
    with alertmanager(tmp_path_factory.mktemp("am"), "route: {receiver: none}\nreceivers: [{name: none}]\n") as url:
        yield url


def told_by(url, what):
    with urllib.request.urlopen(f"{url}/api/v2/{what}", timeout=10) as answer:
        return json.load(answer)


def alerts_of(url, stream):
    """Only one stream's: the tests share an Alertmanager and come in any order."""
    return [one for one in told_by(url, "alerts") if one["labels"].get("stream") == stream]


def until(seen):
    end = time.monotonic() + 20
    while not (found := seen()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@contextmanager
def webhook(statuses=(), headers=None, delay_s=0.0):
    """An HTTP server that answers with these statuses, then 200, and remembers what it was sent."""
    heard, left = [], list(statuses)

    class Hears(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(delay_s)
            self.send_response(left.pop(0) if left else 200)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hears)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hooks/s3cr3t", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def mail_server(refuse=b"", drop_after_data=False):
    """A small SMTP server on a loop of its own thread; `refuse` answers RCPT with that line."""
    letters, loop = [], asyncio.new_event_loop()

    async def speak(reader, writer):
        async def say(line):
            writer.write(line + b"\r\n")
            await writer.drain()

        await say(b"220 test")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"RCPT" and refuse:
                await say(refuse)
            elif verb == b"DATA":
                await say(b"354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += await reader.readline()
                letters.append(text.decode())
                if drop_after_data:
                    break
                await say(b"250 kept")
            elif verb == b"QUIT":
                await say(b"221 bye")
                break
            else:
                await say(b"250 fine")
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(speak, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], letters
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


# --- Alertmanager -------------------------------------------------------------------------------------------------


@needs_alertmanager
def test_an_alarm_told_twice_is_one_alert_in_a_real_alertmanager_and_ends_when_it_is_closed(real_alertmanager):
    way = Alertmanager(real_alertmanager, timeout_s=5)
    way.send(ALARM, unsure=False)
    way.send(ALARM, unsure=True)
    (alert,) = until(lambda: alerts_of(real_alertmanager, LABELS["stream"]))
    way.send(replace(ALARM, ends=None, closes=True, at=datetime.now(tz=UTC)), unsure=False)

    assert alert["labels"] == {**LABELS, "told_by": "retrigger"}
    assert alert["annotations"]["description"] == ALARM.asked
    assert alert["generatorURL"] == ALARM.link
    until(lambda: not alerts_of(real_alertmanager, LABELS["stream"]))


@needs_alertmanager
def test_a_silence_told_twice_is_one_silence_and_it_silences(real_alertmanager):
    way = Alertmanager(real_alertmanager, timeout_s=5)
    other = {**LABELS, "stream": "Other"}
    way.send(replace(SILENCE, labels=other), unsure=False)
    way.send(replace(SILENCE, labels=other), unsure=True)
    way.send(replace(ALARM, labels=other), unsure=False)
    (silence,) = told_by(real_alertmanager, "silences")
    found = until(lambda: [one for one in told_by(real_alertmanager, "alerts") if one["status"]["silencedBy"]])

    assert silence["createdBy"] == "timo"
    assert {one["name"] for one in silence["matchers"]} == {"alertname", "stream"}
    assert found[0]["labels"]["stream"] == "Other"


@needs_alertmanager
def test_what_is_no_alert_is_not_for_alertmanager(real_alertmanager):
    before = told_by(real_alertmanager, "alerts")
    Alertmanager(real_alertmanager, timeout_s=5).send(replace(ALARM, labels={}, ends=None), unsure=False)

    assert told_by(real_alertmanager, "alerts") == before


def test_an_alertmanager_that_is_gone_is_said_and_the_message_did_not_arrive():
    with pytest.raises(DeliveryError, match="cannot be reached") as error:
        Alertmanager(f"http://127.0.0.1:{free_port()}", timeout_s=1).send(ALARM, unsure=False)
    assert not error.value.unsure


# --- Mattermost ---------------------------------------------------------------------------------------------------


def test_mattermost_hears_what_happened_since_when_what_is_asked_and_where_to_look():
    with webhook() as (url, heard):
        Mattermost(url, timeout_s=5).send(ALARM, unsure=False)

    (body,) = heard
    assert body["text"].splitlines() == [
        ":rotating_light: **ZeroBias: Jets are missing in a region**",
        "Since: run 401002, lumisection 111",
        "Asked: shift leader: call the HCAL on-call",
        "[Look at it](https://page/alarms/a)",
    ]
    assert body["props"] == {"retrigger_key": ALARM.key}


def test_a_message_that_may_be_there_already_says_so():
    with webhook() as (url, heard):
        Mattermost(url, timeout_s=5).send(ALARM, unsure=True)

    assert heard[0]["text"].endswith(MAYBE_TWICE)


@pytest.mark.parametrize(("status", "unsure"), [(400, False), (403, False), (404, False), (500, True), (502, True)])
def test_a_webhook_that_says_no_is_told_without_its_secret_address(status, unsure):
    with webhook([status]) as (url, _), pytest.raises(DeliveryError, match=f"answered {status}") as error:
        Mattermost(url, timeout_s=5).send(ALARM, unsure=False)

    assert error.value.unsure is unsure
    assert "s3cr3t" not in str(error.value)


def test_a_webhook_that_asks_for_quiet_is_heard():
    with webhook([429], {"Retry-After": "30"}) as (url, _), pytest.raises(DeliveryError) as error:
        Mattermost(url, timeout_s=5).send(ALARM, unsure=False)

    assert (error.value.after_s, error.value.unsure) == (30.0, False)


def test_a_webhook_that_does_not_answer_in_time_may_have_the_message():
    with webhook(delay_s=1.0) as (url, heard), pytest.raises(DeliveryError, match="did not answer") as error:
        Mattermost(url, timeout_s=0.3).send(ALARM, unsure=False)

    assert error.value.unsure
    assert len(heard) == 1


# --- e-mail -------------------------------------------------------------------------------------------------------


def mail(port):
    return Mail("127.0.0.1", port, sender="retrigger@p5", to=["a@cern.ch", "b@cern.ch"], timeout_s=5)


def test_a_letter_has_an_id_of_its_own_and_says_all_four_things():
    with mail_server() as (port, letters):
        mail(port).send(ALARM, unsure=False)

    (text,) = letters
    assert f"Message-ID: <{ALARM.key}@retrigger>" in text
    assert "Subject: [retrigger page] ZeroBias: Jets are missing in a region" in text
    assert "To: a@cern.ch, b@cern.ch" in text
    assert all(part in text for part in (ALARM.since, ALARM.asked, ALARM.link))


def test_a_letter_sent_again_has_the_same_id_and_says_that_it_may_be_the_second():
    with mail_server() as (port, letters):
        mail(port).send(ALARM, unsure=False)
        mail(port).send(ALARM, unsure=True)

    ids = [next(line for line in text.splitlines() if line.startswith("Message-ID")) for text in letters]
    assert ids[0] == ids[1]
    assert "interrupted" in letters[1]


def test_a_relay_that_refuses_everybody_did_not_take_it():
    with (
        mail_server(refuse=b"550 unknown") as (port, _),
        pytest.raises(DeliveryError, match=r"refuses a@cern\.ch") as e,
    ):
        mail(port).send(ALARM, unsure=False)

    assert not e.value.unsure


def test_a_relay_that_hangs_up_after_the_text_may_have_taken_it():
    with mail_server(drop_after_data=True) as (port, letters), pytest.raises(DeliveryError) as error:
        mail(port).send(ALARM, unsure=False)

    assert error.value.unsure
    assert len(letters) == 1


def test_a_relay_that_is_not_there_did_not_take_it():
    with pytest.raises(DeliveryError, match="did not take the message") as error:
        mail(free_port()).send(ALARM, unsure=False)
    assert not error.value.unsure


def test_a_line_break_in_a_title_cannot_add_a_header():
    letter = mail(25).letter(replace(ALARM, title="x\nBcc: spy@example.org"), unsure=False)

    assert letter["Bcc"] is None
    assert "Bcc: spy" in letter["Subject"]


# --- command ------------------------------------------------------------------------------------------------------


def program(text):
    return [sys.executable, "-c", text]


def test_a_command_gets_one_json_object_and_its_key(tmp_path):
    out = tmp_path / "heard"
    Command(program(f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"), timeout_s=20).send(
        ALARM, unsure=True
    )

    heard = json.loads(out.read_text())
    assert heard["key"] == ALARM.key
    assert heard["maybe_repeated"] is True
    assert heard["labels"] == LABELS


def test_a_command_that_fails_is_told_with_what_it_said():
    with pytest.raises(DeliveryError, match=r"ended with 3: no network") as error:
        Command(program("import sys; sys.exit(print('no network', file=sys.stderr) or 3)"), timeout_s=20).send(
            ALARM, unsure=False
        )
    assert error.value.unsure


def test_a_command_may_write_bytes_that_are_no_text():
    odd = "import sys; sys.stderr.buffer.write(bytes([255, 254])); sys.exit({})"
    Command(program(odd.format(0)), timeout_s=20).send(ALARM, unsure=False)

    with pytest.raises(DeliveryError, match="ended with 3"):
        Command(program(odd.format(3)), timeout_s=20).send(ALARM, unsure=False)


def test_a_command_that_hangs_is_ended(tmp_path):
    with pytest.raises(DeliveryError, match=r"longer than 1 s"):
        Command(["sleep", "60"], timeout_s=1).send(ALARM, unsure=False)


def test_a_command_that_is_not_there_is_told():
    with pytest.raises(DeliveryError, match="cannot be run") as error:
        Command(["/nowhere/tell"], timeout_s=1).send(ALARM, unsure=False)
    assert not error.value.unsure


def test_a_command_sees_no_shell(tmp_path):
    done = tmp_path / "owned"
    Command([*program("import sys; sys.stdin.read()"), f"; touch {done}"], timeout_s=20).send(ALARM, unsure=False)

    assert not done.exists()
    assert subprocess.run(["true"], check=False).returncode == 0


# --- Grafana ------------------------------------------------------------------------------------------------------


def test_an_annotation_told_twice_is_there_once():
    with grafana_server(FakeGrafana()) as grafana:
        way = GrafanaNotes(HttpGrafana(grafana.url, TOKEN))
        way.send(ALARM, unsure=False)
        way.send(ALARM, unsure=True)

    (note,) = grafana.notes
    assert note["tags"][:2] == ["retrigger", f"retrigger:{ALARM.key}"]
    assert "lumisection 111" in note["text"]


def test_a_grafana_that_refuses_is_told():
    with grafana_server(FakeGrafana()) as grafana, pytest.raises(DeliveryError, match="401"):
        GrafanaNotes(HttpGrafana(grafana.url, "wrong")).send(ALARM, unsure=False)
