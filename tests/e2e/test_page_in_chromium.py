"""Two people approve at three in the morning, on a phone, in a real browser."""

from datetime import timedelta

import pytest

from daemon.decisions import code_of
from daemon.lifecycle import Phase
from daemon.web import create_app, serve_page
from tests.e2e.real_prometheus import free_port
from tests.e2e.walking import CHROMIUM, FLAGS, PHONE
from tests.unit.daemon.page_world import NOON, PASSWORD, SLOT, STREAM, PageWorld
from tests.unit.daemon.told_alarm import NAME, raise_alarm, told_document

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path):
    world = PageWorld.build(tmp_path)
    world.now = NOON + timedelta(hours=15)
    world.beam("NO BEAM")
    world.take_data()
    listen = f"127.0.0.1:{free_port()}"
    app = create_app(
        world.ledger,
        world.people,
        world.sight,
        world.policy,
        stream=STREAM,
        slot=SLOT,
        public_url=f"http://{listen}",
        clock=lambda: world.now,
        explanations=world.folder / "explanations",
    )
    server = serve_page(app, listen)
    yield world, server.url
    server.stop()
    world.ledger.close()


@pytest.fixture
def phone(chromium, site):
    """Return a function that logs somebody in on a phone of their own; complaints of the browser fail the test."""
    contexts, complaints = [], []

    def take(name, scheme="light"):
        context = chromium.new_context(viewport=PHONE, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.goto(site[1])
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        return page

    yield take
    for context in contexts:
        context.close()
    assert complaints == []


def approve(page, world, name):
    page.get_by_role("link", name="Read and decide").click()
    page.get_by_label("Type the code of this request").fill(code_of(world.candidate(name)))
    form = page.get_by_role("form", name="Say yes")
    form.get_by_label("One reason").fill("rate and proof are convincing")
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Approve {name}", exact=True).click()


def test_two_people_approve_at_phone_width(site, phone):
    world, _ = site
    name = world.propose()

    mila = phone("mila")
    approve(mila, world, name)
    assert "mila (ML expert) said yes; still needed: trigger on-call" in mila.inner_text("main")
    timo = phone("timo", "dark")
    approve(timo, world, name)

    assert f"Candidate {name} is approved and waits for a gap between fills" in timo.inner_text("h1")
    assert world.candidate(name).phase is Phase.APPROVED


def test_nothing_is_wider_than_the_phone(site, phone):
    world, url = site
    name = world.propose()
    world.open_fault()
    page = phone("mila")

    for path in ("/", f"/candidates/{name}"):
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_why_an_alarm_was_raised_is_drawn_at_phone_width(site, phone, scheme):
    world, url = site
    raise_alarm(world, told_document())
    page = phone("timo", scheme)
    page.get_by_role("link", name="Why: pulls, maps").first.click()
    page.locator("summary", has_text="Pulls of").click()
    pictures = page.locator("svg.chart")

    assert page.url.startswith(f"{url}/alarms/{NAME.split(':', 1)[0]}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert pictures.count() >= 8
    assert all(one["height"] > 90 for one in (pictures.nth(place).bounding_box() for place in range(8)))


def test_everything_can_be_reached_and_said_without_a_mouse(site, phone):
    world, url = site
    name = world.propose()
    page = phone("mila")
    page.goto(f"{url}/candidates/{name}")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.innerText"))

    assert {"Skip to the content", "code", "yes-reason", "yes-password", f"Approve {name}", "Say no"} <= reached
    page.focus("#code")
    page.keyboard.type(code_of(world.candidate(name)))
    page.keyboard.press("Tab")
    page.keyboard.type("said by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=said yes")
    assert [one.person for one in world.candidate(name).approvals] == ["mila"]


def test_every_field_has_a_label_and_every_picture_a_name(site, phone):
    world, url = site
    name = world.propose()
    world.open_fault()
    page = phone("carla")

    for path in ("/", f"/candidates/{name}"):
        page.goto(url + path)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('input:not([type=hidden]), textarea, select')]
                 .filter(field => !field.labels.length).map(field => field.outerHTML)
               .concat([...document.querySelectorAll('svg:not([aria-label])')].map(svg => svg.outerHTML))"""
        )
        assert nameless == []


def test_a_page_left_open_is_refused_and_says_what_to_do(site, phone):
    world, _ = site
    name = world.propose()
    page = phone("mila")
    page.get_by_role("link", name="Read and decide").click()
    code = code_of(world.candidate(name))
    world.certifier.word = "one run was taken back"
    world.step(name)

    page.get_by_label("Type the code of this request").fill(code)
    form = page.get_by_role("form", name="Say yes")
    form.get_by_label("One reason").fill("seen yesterday")
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Approve {name}", exact=True).click()

    assert "Nothing was recorded: this page was out of date" in page.get_by_role("alert").inner_text()
    assert world.candidate(name).approvals == ()
