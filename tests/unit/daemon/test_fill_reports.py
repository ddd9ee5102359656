"""Each fill has a report that shows what happened in it, and the record names its bytes."""

import json
import re
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest

from daemon import config, fill_trail, reports
from daemon.errors import RefusedError, ReportError
from daemon.ledger import FileTaken, Ledger
from daemon.lifecycle import FillReported, FillReportFailed
from daemon.reports import shelf
from daemon.reports.canvas import MOST_POINTS, groups, stretches
from daemon.reports.content import content_of
from daemon.reports.figures import loudest, unwrapped, widened
from daemon.reports.keeping import APART, TRIES, FillReports
from daemon.reports.more_figures import MOST_SHARES, gathered, rates, scores
from daemon.reports.order import order_of
from daemon.reports.written import written
from drift.boxes import Box
from drift.reference import Reference
from drift.schema import AXOL1TL_57
from tests.unit.daemon import told_fill as told
from tests.unit.daemon.page_world import PageWorld
from tests.unit.daemon.web_visitors import Browser, application
from tests.unit.drift import conftest as toy

LATER = told.NOON + timedelta(hours=1)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder before any report was made."""
    home = tmp_path_factory.mktemp("fill")
    told.build(home, Reference.fit(toy.fills(11, 4, 30, 300), AXOL1TL_57))
    return home


def opened(home):
    settings = config.load(home / "retrigger.toml")
    return SimpleNamespace(settings=settings, ledger=Ledger.open(settings.ledger.url))


@pytest.fixture
def home(original, tmp_path):
    one = opened(shutil.copytree(original, tmp_path / "home"))
    yield one
    one.ledger.close()


def made(home, at=LATER, **how):
    """Step until nothing is being made; return the facts about reports."""
    keeping = FillReports(home.settings, home.ledger, **how)
    keeping.step(at)
    until = time.monotonic() + 200
    while keeping.busy and time.monotonic() < until:
        time.sleep(0.05)
        keeping.step(at)
    keeping.close()
    return [one.fact for one in home.ledger.facts(subject=shelf.SUBJECT)]


@pytest.fixture(scope="module")
def finished(original, tmp_path_factory):
    """The folder after its report was made."""
    one = opened(shutil.copytree(original, tmp_path_factory.mktemp("made") / "home"))
    made(one)
    yield one
    one.ledger.close()


def page_of(home):
    return reports.read(home.ledger, home.settings.reports, told.STREAM, told.FILL)


def behind(content):
    return json.loads(re.search(r'id="behind">(.*?)</script>', content.decode(), re.DOTALL)[1])


def order(home):
    (span,) = [one for one in home.ledger.fills(told.STREAM, 10) if one.fill == told.FILL]
    return order_of(home.ledger, home.settings, span)


def test_the_hole_is_boxed_where_it_is_and_its_onset_is_marked_where_it_began(finished):
    fact, content = page_of(finished)
    tree = behind(content)
    lead, real = tree["lead"], Box("JET", told.ETA, told.PHI)
    box = Box(lead["box"]["object"], tuple(lead["box"]["eta"]), tuple(lead["box"]["phi"]))
    inside = tree["inside"]
    ratio = [seen / due for seen, due in zip(inside["observed"], inside["expected"], strict=True)]
    first = tree["compared"].index(f"{told.RUN}:{told.ONSET}")

    assert box.overlap(real) > 0.5
    assert abs(lead["onset"]["lumisection"] - told.ONSET) <= 3
    assert sum(ratio[first:]) / len(ratio[first:]) < 0.3
    assert sum(ratio[:first]) / first > 0.7
    assert fact.verdict == "broken_detector"
    assert fact.words.startswith(f"Fill {told.FILL}: BROKEN DETECTOR in JET at η ")
    assert fact.lumisections == told.LENGTH


def test_the_map_behind_the_figure_has_its_hole_inside_the_box(finished):
    tree = behind(page_of(finished)[1])
    (one,) = [one for one in tree["maps"] if one["map"] == tree["inside"]["map"]]
    box = tree["lead"]["box"]
    counts = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for row, eta in enumerate(zip(one["eta"], one["eta"][1:], strict=False)):
        for column, phi in enumerate(zip(one["phi"], one["phi"][1:], strict=False)):
            middle = (sum(eta) / 2, sum(phi) / 2)
            within = box["eta"][0] < middle[0] < box["eta"][1] and box["phi"][0] < middle[1] < box["phi"][1]
            counts[within][0] += one["observed"][row][column]
            counts[within][1] += one["expected"][row][column]

    assert counts[True][0] < 0.4 * counts[True][1]
    assert counts[False][0] > 0.9 * counts[False][1]


def test_evidence_rises_to_its_budget_between_onset_and_alarm(finished):
    tree = behind(page_of(finished)[1])
    level = {row["lumisection"]: row["log_evidence"] for row in tree["lumisections"]}

    assert max(level[number] for number in range(1, told.ONSET)) < tree["budget"]
    assert max(level[number] for number in range(told.ONSET, tree["lead"]["lumisection"] + 1)) > tree["budget"]


def test_equal_inputs_give_equal_bytes(finished, home):
    made(home)

    assert page_of(home) == page_of(finished)


def test_the_report_needs_no_network_and_runs_no_script(finished):
    text = page_of(finished)[1].decode()

    assert re.findall(r"<script[^>]*>", text) == ['<script type="application/json" id="behind">']
    assert "<link" not in text
    assert all(source.startswith("data:image/svg+xml;base64,") for source in re.findall(r'src="([^"]*)"', text))
    assert len(re.findall(r'<img src="[^"]+" alt="[^"]{20,}"', text)) == 4
    assert len(text) < 3_000_000


def test_words_of_an_alarm_are_never_markup(home):
    evil = "</script><script>alert(1)</script>"
    asked = order(home)
    asked["alarms"][0] |= {"text": evil, "action": evil, "id": evil}
    text = written(content_of(asked)).decode()

    assert text.count("<script") == 1
    assert behind(text.encode())["lead"]["id"] == evil


def test_a_fill_without_an_alarm_is_quiet_and_has_its_figures(home):
    asked = order(home) | {"alarms": []}
    content = content_of(asked)
    text = written(content).decode()

    assert (
        content["headline"]
        == f"Fill {told.FILL}: quiet. {told.LENGTH} of {told.LENGTH} lumisections watched, no alarm."
    )
    assert 'class="line good"' in text
    assert (content["lead"], content["inside"]) == (None, None)
    assert len(loudest(content)) == 36


def test_an_altered_report_is_not_given_out(home):
    made(home, child=("-c", CHEAP))
    (path,) = home.settings.reports.glob("*.html")
    path.write_bytes(path.read_bytes().replace(b"quiet", b"QUIET"))

    with pytest.raises(ReportError, match="was altered"):
        page_of(home)
    path.unlink()
    with pytest.raises(ReportError, match="cannot be read"):
        page_of(home)


def test_a_report_that_fails_is_counted_and_left_alone_after_a_few_tries(home):
    facts = made(home, child=("-c", "raise SystemExit('no ink')"))
    (listed,) = reports.listed(home.ledger, told.STREAM)

    assert [type(fact) for fact in facts] == [FillReportFailed] * TRIES
    assert "it ended with 1: no ink" in listed.reason
    assert listed.failures == TRIES
    with pytest.raises(RefusedError, match="making it failed 3 times"):
        page_of(home)


def test_a_report_that_takes_too_long_is_ended(home):
    facts = made(home, child=("-c", "import time; time.sleep(60)"), wall_s=-1.0)

    assert {fact.reason for fact in facts} == {"it took longer than -1 s"}


def test_a_kill_before_the_record_knew_of_a_report_is_repaired(home, tmp_path):
    other = opened(shutil.copytree(home.settings.state.parent, tmp_path / "other"))
    (whole,) = made(other, child=("-c", CHEAP))
    folder = home.settings.reports
    (folder / "making").mkdir(parents=True)
    (folder / "making" / "report.html").write_text("half a")
    shelf.place(folder, told.FILL, whole.report_sha256).write_text("moved, but never flushed")
    facts = made(home, child=("-c", CHEAP))

    assert facts == [whole]
    assert page_of(home) == page_of(other)
    other.ledger.close()


def test_lumisections_that_come_late_make_another_edition(home):
    made(home, child=("-c", CHEAP))
    at = SimpleNamespace(run=told.RUN, lumisection=told.LENGTH + 4, fill=told.FILL, pileup=40.0)
    late = FileTaken(path="late.root", sha256="f" * 64, bytes=1, stream=told.STREAM, outcome="accepted", at=LATER)
    home.ledger.take_file(late, [told.outcome(at, "f" * 64, "came after", "late")], None, ())
    too_soon = made(home, child=("-c", CHEAP))
    facts = made(home, child=("-c", CHEAP), at=LATER + APART)

    assert len(too_soon) == 1
    assert [fact.lumisections for fact in facts] == [told.LENGTH, told.LENGTH + 1]
    assert all(isinstance(fact, FillReported) for fact in facts)


CHEAP = (
    'import sys; open(sys.argv[2], \'w\').write(\'<script type="application/json" id="behind">'
    '{"verdict":"quiet","headline":"quiet"}</script>\')'
)


def test_the_last_fill_waits_for_its_dump_and_for_its_files(home):
    feed = home.settings.conditions.folder / "beam_mode.jsonl"
    dumped = {"time": told.NOON.isoformat(), "fill": told.FILL + 1, "beam_mode": "BEAM DUMP"}
    made(home, child=("-c", CHEAP))
    keeping = FillReports(home.settings, home.ledger, child=("-c", CHEAP))
    keeping.step(LATER)
    before = keeping.busy
    feed.write_text(json.dumps(dumped) + "\n")
    keeping.step(LATER, waiting=1)
    held = keeping.busy
    keeping.step(LATER)
    begun = keeping.busy
    keeping.close()

    assert (before, held, begun) == (False, False, True)


def test_what_the_watch_saw_is_kept_until_the_next_fill_has_its_report(home):
    feed = home.settings.conditions.folder / "beam_mode.jsonl"
    feed.write_text(json.dumps({"time": told.NOON.isoformat(), "fill": told.FILL + 1, "beam_mode": "NO BEAM"}) + "\n")
    files = order(home)["files"]
    facts = made(home, child=("-c", CHEAP))
    left = [sha256 for sha256 in files if fill_trail.place(home.settings.state / "trail", sha256).exists()]

    assert [fact.fill for fact in facts] == [told.FILL, told.FILL + 1]
    assert left == []


def test_the_loop_draws_nothing_itself():
    asked = "import sys, daemon.reconcile; print({'matplotlib', 'mplhep', 'jinja2'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"


def test_scores_and_counters_are_drawn_where_there_are_any(home):
    content = content_of(order(home))
    one = {"q0.5": 10.0, "q0.99": 300.0, "threshold L1_AXO": 400.0, "passed L1_AXO": 2.0, "events": 300.0}
    rate = {"seen": [9.0, 10, 11], "due": [10.0] * 3, "low": [9.5] * 3, "high": [10.5] * 3, "sigma": [0.1] * 3}
    seed = {"seed": "L1_ZeroBias", "at": content["compared"][:3], "bunches": [2340] * 3, "pileup": [50.0] * 3} | rate
    scored = content | {"scores": [one] * len(content["compared"]), "rates": [seed]}

    assert (scores(content), rates(content)) == (None, None)
    assert scores(scored).startswith(b"<?xml")
    assert rates(scored).startswith(b"<?xml")


def test_scores_of_nothing_but_zero_are_drawn_too(home):
    content = content_of(order(home))
    one = {"q0.5": 0.0, "q0.99": 0.0, "threshold L1_AXO": 400.0, "passed L1_AXO": 0.0, "events": 300.0}

    assert scores(content | {"scores": [one] * len(content["compared"])}).startswith(b"<?xml")


def test_a_region_that_scatters_by_itself_is_not_marked_before_its_onset(home):
    calm = [(place, 100 + (-1) ** place * 9, 100.0) for place in range(6)]
    restless = [(place, 100 + (-1) ** place * 30, 100.0) for place in range(6)]

    assert widened(calm, None) == 1.0
    assert widened(restless, 6) == pytest.approx(3.0)
    assert widened(restless[:3], 3) == 1.0


def test_a_long_fill_is_drawn_as_neighbours_that_never_reach_over_the_onset():
    merged = groups(range(1_500), 701)

    assert len(merged) <= MOST_POINTS + 2
    assert (merged[0][0], merged[-1][1]) == (0, 1_500)
    assert all(after[0] == before[1] for before, after in pairwise(merged))
    assert any(last == 701 for _, last in merged)
    assert groups(range(30), None) == [(place, place + 1) for place in range(30)]


def test_shares_of_a_long_fill_gather_until_there_are_few_points():
    points = gathered([(50.0 + place / 100, 20.0, 500.0) for place in range(1_500)])

    assert len(points) <= MOST_SHARES + 1
    assert all(share == pytest.approx(0.04) for _, share, _ in points)


def test_lumisections_that_follow_each_other_are_one_stretch():
    assert stretches([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]


def test_a_span_of_azimuth_beyond_pi_is_drawn_as_two():
    assert unwrapped(-1.0, 1.0) == [(-1.0, 1.0)]
    assert unwrapped(3.0, 3.5) == [
        (3.0, pytest.approx(3.14159265)),
        (pytest.approx(-3.14159265), pytest.approx(-2.783185307)),
    ]


def test_the_page_lists_reports_and_gives_them_out_under_a_policy_without_script(finished, tmp_path):
    world = PageWorld.build(tmp_path)
    for one in finished.ledger.facts(subject=shelf.SUBJECT):
        world.ledger.append(shelf.SUBJECT, [one.fact])
    app = application(world)
    app.state.reports = finished.settings.reports
    browser = Browser(app, "vera")
    answer = browser.get(f"/reports/{told.FILL}")

    assert f'<a href="/reports/{told.FILL}">' in browser.get("/reports").text
    assert answer.content == page_of(finished)[1]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert browser.get("/reports/99").status_code == 404
    assert Browser(app).get("/reports").status_code == 303
    world.ledger.close()
