# noqa: INP001  # a script, not a package
"""Make the pictures of the documentation: the page in Chromium.

Run by `make pictures`; `make preview` draws the dashboards.  The experiment shown is that of the tests: a real ledger,
board, bundles and metrics.
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tests' examples lie beside the packages

from playwright.sync_api import Browser, sync_playwright  # noqa: E402  # after the path is set

from daemon import config, scan  # noqa: E402  # after the path is set
from daemon.decisions import code_of  # noqa: E402  # after the path is set
from daemon.web import create_app, serve_page  # noqa: E402  # after the path is set
from daemon.web.explained_file import write_beside  # noqa: E402  # after the path is set
from drift.simulate import simulate  # noqa: E402  # after the path is set
from tests.e2e.homes import deliver, home_with_reference, retrigger, run_once  # noqa: E402  # after the path is set
from tests.e2e.real_prometheus import free_port  # noqa: E402  # after the path is set
from tests.e2e.walking import CHROMIUM, FLAGS, PHONE  # noqa: E402  # after the path is set
from tests.unit.daemon.page_world import PASSWORD, SLOT, STREAM, PageWorld  # noqa: E402  # after the path is set
from tests.unit.daemon.test_scorer import small_bundle  # noqa: E402  # after the path is set

PICTURES = ROOT / "docs" / "pictures"
WIDE = {"width": 1100, "height": 900}
PANELS = ("The model's score", "Seed rates")


def page_pictures(browser: Browser, folder: Path) -> None:
    """Take the log-in, the overview and a decision page, wide and on a phone, light and dark."""
    world = PageWorld.build(folder)
    world.beam("STABLE BEAMS")
    world.take_data()
    name = world.propose()
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
    )
    server = serve_page(app, listen)
    for scheme, size, kind in (("light", WIDE, "wide"), ("dark", WIDE, "dark"), ("light", PHONE, "phone")):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.goto(server.url)
        page.screenshot(path=PICTURES / f"login-{kind}.png")
        page.get_by_label("Name").fill("mila")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.goto(f"{server.url}/candidates/{name}")
        page.screenshot(path=PICTURES / f"candidate-{kind}.png", full_page=True)
        if kind == "phone":
            page.get_by_label("Type the code of this request").fill("c-0001-none")
            form = page.get_by_role("form", name="Say yes")
            form.get_by_label("One reason").fill("looks good")
            form.get_by_label("Your password, again").fill(PASSWORD)
            form.get_by_role("button", name="Approve").click()
            page.screenshot(path=PICTURES / "refused-phone.png")
            assert code_of(world.candidate(name)) in page.inner_text("main")
        context.close()
    world.open_fault()
    for scheme, size, kind in (("light", WIDE, "wide"), ("dark", WIDE, "dark"), ("light", PHONE, "phone")):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.goto(server.url)
        page.get_by_label("Name").fill("timo")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.screenshot(path=PICTURES / f"overview-{kind}.png", full_page=True)
        context.close()
    server.stop()
    world.ledger.close()


def explain_picture(browser: Browser, folder: Path) -> None:
    """Let a scan find two sectors of the hadron calorimeter without power, and draw why."""
    healthy = simulate("none", 4, 1, folder / "healthy", lumisections_per_fill=48)
    week = simulate("hem1516", 2, 2, folder / "week", lumisections_per_fill=48)
    (folder / "retrigger.toml").write_text("", encoding="utf-8")
    settings, reference = config.load(folder / "retrigger.toml"), folder / "reference.npz"
    scan.fit_reference([healthy.files[0].parent], settings, reference, conditions=healthy.conditions)
    asked = {"conditions": week.conditions, "explain": folder / "why"}
    alarm = next(iter(scan.scan([week.files[0].parent], settings, reference, **asked)))
    drawn = write_beside(Path(alarm["explanation"]))
    for scheme, size, kind in (("light", {**WIDE, "height": 1400}, "wide"), ("dark", PHONE, "phone")):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.goto(drawn.as_uri())
        page.screenshot(path=PICTURES / f"explain-{kind}.png")
        context.close()


def report_pictures(browser: Browser, folder: Path) -> None:
    """Let the daemon watch and score a fill in which two sectors of the hadron calorimeter lose power."""
    sizes = {"lumisections_per_fill": 48, "events_per_lumisection": 500, "lumisections_per_file": 8}
    healthy = simulate("none", 4, 7, folder / "healthy", **sizes)
    live = simulate("hem1516", 1, 229, folder / "live", first_fill=10_200, **sizes)
    model = small_bundle(folder).path
    changed = {'# rate_reference = "rates.json"': 'rate_reference = "rates.json"'}
    home, _ = home_with_reference(folder, live.conditions, bundle=model, changed=changed)
    counted = ("--counts", folder / "healthy" / "counters" / "seeds.csv", "--conditions", healthy.conditions)
    retrigger("reference", "rates", *counted, "--output", home / "rates.json")
    retrigger("import-champion", "--config", home / "retrigger.toml", model)
    shutil.copytree(folder / "live" / "counters", home / "counters", dirs_exist_ok=True)
    deliver(home, *live.files)
    run_once(home, reports=True)
    retrigger("report", 10_200, "--config", home / "retrigger.toml", "--output", folder / "report.html")
    page = browser.new_page(viewport={**WIDE, "height": 700})
    page.goto((folder / "report.html").as_uri())
    page.screenshot(path=PICTURES / "fill-report.png")
    scores, rates = (page.locator("section", has=page.get_by_role("heading", name=name)) for name in PANELS)
    scores.screenshot(path=PICTURES / "fill-report-scores.png")
    rates.screenshot(path=PICTURES / "fill-report-rates.png")
    page.close()


def main() -> None:
    """Make every picture anew."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        one, two, three = (Path(folder) / name for name in ("page", "explain", "report"))
        for place in (one, two, three):
            place.mkdir()
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page_pictures(browser, one)
        explain_picture(browser, two)
        report_pictures(browser, three)
        browser.close()


if __name__ == "__main__":
    main()
