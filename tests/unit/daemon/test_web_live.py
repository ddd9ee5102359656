"""The live view says what is now to those who may see it, and never to more of them than it can serve."""

import asyncio
import re

import pytest

from daemon.lifecycle import facts as f
from daemon.web.live import MOST, MOST_OF_ONE, Feed
from daemon.web.sessions import LONGEST
from tests.unit.daemon.page_world import PUBLIC_URL, STREAM, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    made.turn_loop()
    yield made
    made.ledger.close()


class Following:
    """One connection to the events of a page, read as far as a test wants, straight from the application."""

    def __init__(self, app, cookie, headers=()):
        self.app, self.cookie, self.headers = app, cookie, headers
        self.left = asyncio.Event()
        self.status, self.text = 0, ""
        self.heard = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.text += message.get("body", b"").decode()
        self.heard.set()

    async def until(self, found):
        while not found(self.text):
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), 20)

    async def run(self):
        host = PUBLIC_URL.removeprefix("http://").encode()
        scope = {
            "type": "http", "method": "GET", "path": "/live/events", "raw_path": b"/live/events", "query_string": b"",
            "headers": [(b"host", host), (b"cookie", self.cookie.encode()), *self.headers], "http_version": "1.1",
            "scheme": "http", "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
        }  # fmt: skip
        await self.app(scope, self.receive, self.send)


def quick(world):
    app = application(world)
    app.state.feed = Feed(app.state.office, tick_s=0.05)
    return app


def cookie_of(app, name="vera"):
    return "; ".join(f"{key}={value}" for key, value in Browser(app, name).http.cookies.items())


async def follow(app, cookie, found, headers=(), then=None):
    """Read events until they satisfy `found`; run `then` first once something came; return the text."""
    one = Following(app, cookie, headers)
    task = asyncio.create_task(one.run())
    if then is not None:
        await one.until(lambda text: "event: shown" in text)
        then()
    await one.until(found)
    one.left.set()
    await asyncio.wait_for(task, 20)
    return one.text


def raise_another(world):
    alarm = {"verdict": "broken_detector", "run": 401_004, "lumisection": 9, "text": "Jets are missing <here>"}
    world.ledger.append(
        STREAM, [f.AlarmRaised(at=world.now, actor="daemon", stream=STREAM, alarm_id="new", alarm=alarm)]
    )


def test_an_alarm_reaches_those_who_watch_without_being_asked_for(world):
    app = quick(world)
    text = asyncio.run(
        follow(
            app, cookie_of(app), lambda text: "Jets are missing &lt;here&gt;" in text, then=lambda: raise_another(world)
        )
    )

    assert text.startswith("retry: ")
    assert text.count("event: shown") == 2
    assert len(set(re.findall(r"(?m)^id: (\w+)$", text))) == 2


def test_who_reconnects_with_what_is_still_true_is_told_nothing_anew(world):
    app = quick(world)
    cookie = cookie_of(app)
    first = asyncio.run(follow(app, cookie, lambda text: "event: shown" in text))
    known = re.search(r"(?m)^id: (\w+)$", first)[1]
    again = asyncio.run(
        follow(app, cookie, lambda text: text.count("event: beat") > 1, [(b"last-event-id", known.encode())])
    )

    assert "event: shown" not in again


def test_a_session_that_ended_ends_its_stream(world):
    app = quick(world)

    def later():
        world.now = world.now + LONGEST * 2

    text = asyncio.run(follow(app, cookie_of(app), lambda text: "event: over" in text, then=later))

    assert text.rstrip().endswith("data: log in again")


def test_nobody_follows_without_a_log_in(world):
    app = quick(world)
    nobody = Browser(app)

    assert nobody.get("/live").headers["location"] == "/login?to=/live"
    assert nobody.get("/live/events").status_code == 303


def test_connections_are_bounded_in_all_and_by_person(world):
    feed = Feed(application(world).state.office)

    assert [feed.enter("vera") for _ in range(MOST_OF_ONE + 1)] == [True] * MOST_OF_ONE + [False]
    assert sum(feed.enter(f"p{number}") for number in range(MOST)) == MOST - MOST_OF_ONE
    feed.leave("vera")
    assert feed.enter("timo")


def test_too_many_are_refused_and_those_who_left_make_room(world):
    app = quick(world)
    feed, browser = app.state.feed, Browser(app, "vera")
    asyncio.run(follow(app, cookie_of(app), lambda text: "event: shown" in text))
    for _ in range(MOST_OF_ONE):
        assert feed.enter("vera")  # the one that left above is not counted any more
    refused = browser.get("/live/events")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "15")


def test_the_plain_page_says_who_must_act_without_a_script(world):
    world.propose()
    world.open_fault()
    text = Browser(application(world), "vera").get("/live").text

    assert "Detector on-call" in text
    assert re.search(r"Candidate c-\d+</a> waits for a decision", text)
    assert "stable beams" in text
    assert "9876" in text
    assert re.findall(r"<script[^>]*>", text).count('<script src="/static/live.js" defer>') == 1
    assert "style=" not in text
