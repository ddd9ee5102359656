"""The view for the control room: one page that follows the record by itself, by server-sent events.

Everybody sees the same, so it is rendered once a tick for all connections.  An event's id is the digest of what it
shows: who reconnects with it is told nothing anew.  Connections are few and counted; watching keeps a session in use,
within its longest time, and each connection asks again and again whether its session and account still stand.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from threading import Lock

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from daemon.people import Person
from daemon.web.doors import NotLoggedInError, Visit, Visitor, visit
from daemon.web.office import Office
from daemon.web.overview import overview
from daemon.web.render import TEMPLATES, page
from daemon.web.words import ago

MOST, MOST_OF_ONE = 24, 4
"""Connections in all, and of one person."""
TICK_S, BEATS_EVERY = 2.0, 5
RETRY_MS = 3_000
EVERYBODY = Person("everybody", frozenset())

router = APIRouter()


class Feed:
    """What all watchers are shown now, rendered at most once a tick, and who watches."""

    def __init__(self, office: Office, tick_s: float = TICK_S) -> None:
        """Take what the pages stand on, and how often the record is looked at."""
        self._office, self.tick_s = office, tick_s
        self._lock = Lock()
        self._shown: tuple[int, str, str] = (-1, "", "")
        self._watchers: Counter[str] = Counter()

    def current(self, tick: int) -> tuple[str, str]:
        """Return id and HTML of what is shown in a tick; calls in one tick read the record once."""
        with self._lock:
            if self._shown[0] != tick:
                text = rendered(self._office)
                self._shown = (tick, hashlib.sha256(text.encode()).hexdigest()[:20], text)
            return self._shown[1:]

    def enter(self, name: str) -> bool:
        """Count a connection of a person; False when there are too many already."""
        with self._lock:
            if self._watchers.total() >= MOST or self._watchers[name] >= MOST_OF_ONE:
                return False
            self._watchers[name] += 1
            return True

    def leave(self, name: str) -> None:
        """Count a connection no more."""
        with self._lock:
            self._watchers[name] -= 1
            self._watchers += Counter()  # names without a connection are forgotten


def rendered(office: Office) -> str:
    """Return what is shown, as HTML; times in it are absolute, so that it changes only when something happened."""
    now = office.clock()
    return TEMPLATES.get_template("live_part.html").render(
        view=overview(office, EVERYBODY, now),
        now=now,
        ago=lambda at: ago(at, now),
        slot=office.slot,
        stream=office.stream,
        policy=office.policy,
    )


def feed_of(request: Request) -> Feed:
    """Return the feed of this application, made at its first use."""
    state = request.app.state
    if not hasattr(state, "feed"):
        state.feed = Feed(state.office)
    feed: Feed = state.feed
    return feed


@router.get("/live")
def live_page(request: Request, visitor: Visitor) -> HTMLResponse:
    """Show what is now; the script on it follows, and without script it is read again every half minute."""
    part = rendered(visitor.office)
    shown = hashlib.sha256(part.encode()).hexdigest()[:20]
    return page(request, "live.html", now=visitor.now, session=visitor.session, part=part, shown=shown)


@router.get("/live/events")
async def live_events(request: Request, visitor: Visitor, after: str = "") -> Response:
    """Follow the record until the watcher leaves, or may watch no more."""
    feed, name = feed_of(request), visitor.person.name
    if not feed.enter(name):
        return PlainTextResponse("too many watch already; close another window\n", 503, {"Retry-After": "15"})
    last = request.headers.get("last-event-id", "") or after
    return _Stream(_events(request, feed, last), lambda: feed.leave(name))


class _Stream(StreamingResponse):
    """A stream of events that says when it ended, however it ended."""

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


async def _events(request: Request, feed: Feed, last: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    clock = asyncio.get_running_loop()
    count = 0
    while True:
        if count % BEATS_EVERY == 0:
            if await run_in_threadpool(_still, request) is None:
                yield "event: over\ndata: log in again\n\n"
                return
            yield "event: beat\ndata: .\n\n"
        shown, text = await run_in_threadpool(feed.current, int(clock.time() / feed.tick_s))
        if shown != last:
            last = shown
            yield f"id: {shown}\nevent: shown\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
        count += 1
        await asyncio.sleep(feed.tick_s)


def _still(request: Request) -> Visit | None:
    """Return who watches, None when the session ended or the account was closed."""
    try:
        return visit(request)
    except NotLoggedInError:
        return None
