"""People at the page in a real Chromium: a browser, a site on a free port, phones, desks, passkeys."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from daemon.web import create_app, serve_page
from tests.e2e.real_prometheus import free_port
from tests.unit.daemon.page_world import NOON, PASSWORD, SLOT, STREAM, PageWorld

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@contextmanager
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@contextmanager
def site(folder, name="127.0.0.1", **more) -> Iterator:
    """Give a world at three in the morning and the address of its page."""
    world = PageWorld.build(folder)
    world.now = NOON + timedelta(hours=15)
    world.beam("NO BEAM")
    world.take_data()
    port = free_port()
    url = f"http://{name}:{port}"
    app = create_app(
        world.ledger,
        world.people,
        more.pop("looks", world.sight),
        world.policy,
        stream=STREAM,
        slot=SLOT,
        public_url=url,
        clock=lambda: world.now,
        explanations=world.folder / "explanations",
        **more,
    )
    server = serve_page(app, f"127.0.0.1:{port}")
    try:
        yield world, url
    finally:
        server.stop()
        world.ledger.close()


class Visitors:
    """Hands out devices with somebody logged in; what the browser complains of is kept."""

    def __init__(self, chromium, url):
        self.chromium, self.url = chromium, url
        self.contexts, self.complaints = [], []

    def __call__(self, name, scheme="light", size=None):
        context = self.chromium.new_context(viewport=size or PHONE, color_scheme=scheme)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if "Content Security" in said.text else None)
        if name:
            log_in(page, self.url, name)
        return page

    def close(self):
        for context in self.contexts:
            context.close()


def log_in(page, url, name):
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def virtual_authenticator(page):
    """Give the page's browser an authenticator whose user is always there."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, made["authenticatorId"]
