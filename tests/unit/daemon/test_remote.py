"""The client of a retrigger elsewhere: what is lost, what is stale, what is no retrigger, and what is said then."""

from contextlib import closing

import httpx
import pytest

from daemon.decisions import code_of
from daemon.errors import LoginRefusedError, RefusedError, ServerError, StalePageError
from daemon.remote import Remote
from tests.unit.daemon.page_world import PASSWORD, PUBLIC_URL, PageWorld
from tests.unit.daemon.test_desks import served
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


def test_a_page_behind_https_keeps_its_session_in_a_cookie_of_this_host_alone(world):
    url, name = "https://retrigger.example", world.propose()
    line = Line(application(world, public_url=url))
    with closing(Remote(url, keys=lambda: "key", sleep=[].append, transport=line)) as far:
        far.log_in("mila", PASSWORD)
        approve(far, world, name)

    assert far.cookie[0] == "__Host-retrigger"
    assert len(world.candidate(name).approvals) == 1


class Down(httpx.BaseTransport):
    """A page that went down behind its proxy."""

    def handle_request(self, request):
        return httpx.Response(503, text="no page", request=request)


def test_a_word_whose_answer_was_lost_by_a_page_that_then_went_down_is_not_said_to_be_unsaid(world):
    name, line = world.propose(), Line(application(world), lose_answers=1)
    line.pages.append(Down())
    with closing(remote(line)) as far:
        far.log_in("mila", PASSWORD)
        with pytest.raises(ServerError, match="whether this was recorded is not known: look first"):
            approve(far, world, name)

    assert len(world.candidate(name).approvals) == 1


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
