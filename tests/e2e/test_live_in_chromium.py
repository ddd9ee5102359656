"""An open page in the control room follows the record by itself, and says so when it cannot."""

import pytest

from daemon.lifecycle import facts as f
from daemon.web import create_app, serve_page
from daemon.web.live import Feed
from tests.e2e.real_prometheus import free_port
from tests.e2e.test_page_in_chromium import CHROMIUM, FLAGS
from tests.unit.daemon.page_world import PASSWORD, SLOT, STREAM, PageWorld

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
WAIT_MS = 60_000


class Site:
    """The page over one world; it can be stopped and started again on the same port, as after an update."""

    def __init__(self, world):
        self.world, self.listen = world, f"127.0.0.1:{free_port()}"
        self.url, self.sessions = f"http://{self.listen}", None
        self.start()

    def start(self):
        world = self.world
        app = create_app(
            world.ledger, world.people, world.sight, world.policy, stream=STREAM, slot=SLOT, public_url=self.url,
            clock=lambda: world.now,
        )  # fmt: skip
        app.state.feed = Feed(app.state.office, tick_s=0.2)
        self.server = serve_page(app, self.listen)

    def stop(self):
        self.server.stop()


@pytest.fixture
def site(tmp_path):
    world = PageWorld.build(tmp_path)
    world.beam("STABLE BEAMS")
    world.take_data()
    world.turn_loop()
    made = Site(world)
    yield made
    made.stop()
    world.ledger.close()


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


def open_live(browser, site, complaints, *, scripts=True):
    page = browser.new_context(java_script_enabled=scripts).new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    page.goto(f"{site.url}/login?to=/live")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    return page


def raise_alarm(site, name="live"):
    alarm = {"verdict": "broken_detector", "run": 401_004, "lumisection": 9, "text": f"Jets are missing: {name}"}
    told = {"stream": STREAM, "alarm_id": name, "alarm": alarm}
    onset = {"onset_run": 401_004, "onset_lumisection": 7}
    common = {"at": site.world.now, "actor": "daemon", **told}
    site.world.ledger.append(STREAM, [f.AlarmRaised(**common), f.FaultOpened(**common, **onset)])


def test_an_alarm_appears_on_an_open_page_and_outlives_a_restart_of_the_page(site, browser):
    complaints = []
    page = open_live(browser, site, complaints)
    page.wait_for_selector("#live-said.good", timeout=WAIT_MS)
    page.evaluate("window.untouched = true")
    before = page.inner_text("main")
    raise_alarm(site)
    page.wait_for_selector("text=Jets are missing: live >> nth=0", timeout=WAIT_MS)

    assert "Jets are missing: live" not in before
    assert page.evaluate("window.untouched") is True  # it was not loaded again
    assert page.get_by_role("heading", name="Detector on-call").count() == 1
    assert "Live" in page.inner_text("#live-said")
    site.stop()
    raise_alarm(site, "while it was away")
    site.start()
    page.wait_for_url(
        lambda url: url.endswith("/login?to=/live"), timeout=WAIT_MS
    )  # a restart logs everybody out, and the page says so
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("text=Jets are missing: while it was away >> nth=0", timeout=WAIT_MS)
    assert complaints == []


def test_without_scripts_the_page_says_the_same_and_is_read_again(site, browser):
    raise_alarm(site)
    page = open_live(browser, site, [], scripts=False)

    assert "Jets are missing: live" in page.inner_text("main")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
