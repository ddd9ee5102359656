"""Five people walk through the page in a real browser: approve, reject, come too late, catch a drill, meet a fault."""

import pytest

from daemon.decisions import code_of
from daemon.drills import propose, source_of
from daemon.errors import LedgerError
from daemon.lifecycle import Phase
from tests.e2e.walking import CHROMIUM, DESK, PHONE, Visitors, browser, site, virtual_authenticator
from tests.unit.daemon.page_world import PASSWORD

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@pytest.fixture(scope="module")
def chromium():
    with browser() as made:
        yield made


@pytest.fixture
def place(tmp_path):
    with site(tmp_path, "localhost") as made:
        yield made


@pytest.fixture
def visit(chromium, place):
    visitors = Visitors(chromium, place[1])
    yield visitors
    visitors.close()
    assert visitors.complaints == []


def fill_yes(page, world, name, reason="rate and proof are convincing"):
    page.get_by_label("Type the code of this request").fill(code_of(world.candidate(name)))
    form = page.get_by_role("form", name="Say yes")
    form.get_by_label("One reason").fill(reason)
    return form


def test_the_on_call_approves_at_three_in_the_morning_with_a_passkey_on_a_phone(place, visit):
    world, url = place
    name = world.propose()
    mila = visit("mila")
    mila.goto(f"{url}/candidates/{name}")
    form = fill_yes(mila, world, name)
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Approve {name}", exact=True).click()
    mila.wait_for_selector("text=still needed: trigger on-call")

    timo = visit("timo", "dark")
    virtual_authenticator(timo)
    timo.goto(f"{url}/account")
    timo.get_by_label("Your password, again").fill(PASSWORD)
    timo.get_by_role("button", name="Register a passkey").click()
    timo.wait_for_selector("text=this device")
    timo.goto(f"{url}/candidates/{name}")
    form = fill_yes(timo, world, name, "nothing speaks against it\nand the fill is over")
    form.get_by_role("button", name="with a passkey").click()
    timo.wait_for_selector("text=is approved and waits for a gap")

    voices = {one.person: one.signature for one in world.candidate(name).approvals}
    assert world.candidate(name).phase is Phase.APPROVED
    assert voices["mila"] is None
    assert voices["timo"].kind == "webauthn"
    assert world.people.keys()[voices["timo"].key_id].person == "timo"
    assert timo.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_passkey_that_is_refused_by_its_user_records_nothing_and_says_so(place, visit):
    world, url = place
    name = world.propose()
    timo = visit("timo")
    session, device = virtual_authenticator(timo)
    timo.goto(f"{url}/account")
    timo.get_by_label("Your password, again").fill(PASSWORD)
    timo.get_by_role("button", name="Register a passkey").click()
    timo.wait_for_selector("text=this device")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    timo.goto(f"{url}/candidates/{name}")

    fill_yes(timo, world, name).get_by_role("button", name="with a passkey").click()
    timo.wait_for_selector("text=Nothing was recorded")

    assert world.candidate(name).approvals == ()


def test_the_coordinator_rejects_with_a_class(place, visit):
    world, url = place
    name = world.propose()
    carla = visit("carla", size=DESK)
    carla.goto(f"{url}/candidates/{name}")
    form = carla.get_by_role("form", name="Say no")
    form.get_by_label("Class").select_option("rate")
    form.get_by_label("One reason").fill("too high at pileup 50")
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Reject {name}", exact=True).click()
    carla.wait_for_selector("text=was rejected by a person")

    assert world.candidate(name).phase is Phase.REJECTED
    assert "too high at pileup 50" in carla.inner_text("main")


def test_a_stale_request_is_refused_and_nothing_is_recorded(place, visit):
    world, url = place
    name = world.propose()
    mila = visit("mila")
    mila.goto(f"{url}/candidates/{name}")
    form = fill_yes(mila, world, name, "seen yesterday")
    form.get_by_label("Your password, again").fill(PASSWORD)
    world.certifier.word = "one run was taken back"
    world.step(name)
    form.get_by_role("button", name=f"Approve {name}", exact=True).click()

    assert "Nothing was recorded: this page was out of date" in mila.get_by_role("alert").inner_text()
    assert world.candidate(name).approvals == ()


def test_a_drill_is_caught(place, visit):
    world, url = place
    first = world.propose()
    carla = visit("carla")
    carla.goto(f"{url}/candidates/{first}")
    source = source_of(world.sight.candidates(), None)
    form = carla.get_by_role("form", name="Say no")
    form.get_by_label("Class").select_option("other")
    form.get_by_label("One reason").fill("not needed now")
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Reject {first}", exact=True).click()
    carla.wait_for_selector("text=was rejected by a person")
    name = propose(
        world.ledger, world.sight, world.policy, source, "hot-slice",
        by="carla", out=world.folder / "bundles", now=world.now,
    )  # fmt: skip
    world.step(name)

    timo = visit("timo")
    timo.goto(f"{url}/candidates/{name}")
    assert "This was a drill" not in timo.inner_text("main")
    assert "Worst slice" in timo.inner_text("main")
    timo.locator("summary", has_text="Say no").click()
    form = timo.get_by_role("form", name="Say no")
    form.get_by_label("Class").select_option("rate")
    form.get_by_label("One reason").fill("the rate at pileup 50 cannot be")
    form.get_by_label("Your password, again").fill(PASSWORD)
    form.get_by_role("button", name=f"Reject {name}", exact=True).click()
    timo.wait_for_selector("text=This was a drill")

    assert "It was caught" in timo.inner_text("main")
    carla.goto(f"{url}/fatigue")
    assert "1 of 1" in carla.inner_text("main")


def test_a_broken_page_says_what_to_do(chromium, tmp_path):
    class Locked:
        def candidates(self):
            raise LedgerError("the ledger is locked by another process for 10 s; try again")

    with site(tmp_path, looks=Locked()) as (_, url):
        visitors = Visitors(chromium, url)
        page = visitors("mila")
        said = page.inner_text("main")
        visitors.close()

    assert "what runs goes on running" in said
    assert "What to do now" in said
    assert "the ledger is locked" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rate_is_drawn_with_its_intervals_and_can_be_read_without_the_picture(place, visit, scheme):
    world, url = place
    name = world.propose()
    page = visit("mila", scheme)
    page.goto(f"{url}/candidates/{name}")
    page.wait_for_selector(".uchart canvas")
    page.locator("summary", has_text="The same as numbers").click()

    assert page.locator(".uchart canvas").bounding_box()["width"] > 200
    assert page.locator("figure details table tbody tr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
