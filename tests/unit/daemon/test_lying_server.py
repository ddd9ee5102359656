"""A server that somebody else took over: what it can make a laptop sign, and where it can get a kept session from."""

import json
from contextlib import closing

import httpx
import pytest

from daemon.cli.desk import Word
from daemon.cli.kept_login import Kept, file_of, keep, kept_at
from daemon.cli.there import remote_at
from daemon.decisions import code_of
from daemon.errors import StalePageError
from tests.unit.daemon.page_world import PUBLIC_URL, PageWorld
from tests.unit.daemon.test_desks import Typed, key_of
from tests.unit.daemon.test_web_rarer import doubtful
from tests.unit.daemon.web_visitors import InProcess, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


class Lies(httpx.BaseTransport):
    """The page, with other words about what is open; keeps what was said to it."""

    def __init__(self, app, **instead):
        self.page, self.instead, self.said = InProcess(app), instead, []

    def handle_request(self, request):
        answer = self.page.handle_request(request)
        if request.method == "POST" and not request.url.path.endswith("/session"):
            self.said.append(json.loads(request.content))
        if request.method == "GET" and "/candidates/" in request.url.path:
            told = answer.json()
            told["story"] |= self.instead
            return httpx.Response(200, json=told, request=request)
        return answer


@pytest.mark.parametrize("says", ["approve", "break-glass"])
def test_a_server_that_names_another_request_than_was_seen_gets_no_signature_of_it(world, says):
    name, person = world.propose(), {"approve": "mila", "break-glass": "timo"}[says]
    code, key = code_of(world.candidate(name)), key_of(world, person)
    lies = Lies(application(world), request="f" * 64, code=code)
    word = Word(says=says, candidate=name, reason="convincing", code=code, key=key)
    with closing(remote_at(PUBLIC_URL, transport=lies)) as remote:
        fooled = Typed(remote, person, password_stdin=False)
        with pytest.raises(StalePageError, match=r"is not that of ffffffffffffffff, .* nothing was signed"):
            fooled.say(word)

    assert lies.said == []


def test_a_server_that_names_other_evidence_than_was_seen_gets_no_waiver_of_it(world):
    name, gate = doubtful(world)
    code, key = code_of(world.candidate(name)), key_of(world, "mila")
    lies = Lies(application(world), evidence="f" * 64)
    word = Word(says="waive", candidate=name, reason="a short fill", code=code, gate=gate, hours=6, key=key)
    with closing(remote_at(PUBLIC_URL, transport=lies)) as remote:
        fooled = Typed(remote, "mila", password_stdin=False)
        with pytest.raises(StalePageError, match="nothing was signed"):
            fooled.say(word)

    assert lies.said == []


def test_a_session_goes_to_no_server_whose_address_only_looks_like_its_own_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    keep("https://trigger:8443", kept := Kept("mila", "__Host-retrigger", "a secret"))

    assert file_of("https://trigger_8443") == file_of("https://trigger:8443")
    assert kept_at("https://trigger_8443") is None
    assert kept_at("https://trigger:8443") == kept
