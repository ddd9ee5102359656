"""The explanation of an alarm is kept with its digest, and shown without a network, a script or a guess."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from daemon import explanations
from daemon.errors import ExplanationError, RefusedError
from daemon.web import explained, heat, timelines
from daemon.web.explained_file import static_page
from tests.unit.daemon.page_world import STREAM, PageWorld
from tests.unit.daemon.told_alarm import NAME, dead_region, raise_alarm, told_document
from tests.unit.daemon.web_visitors import Browser, application

VOID = {"meta", "link", "input", "br", "rect", "path", "circle", "line"}


@pytest.fixture(scope="module")
def alarm():
    return dead_region()


@pytest.fixture(scope="module")
def told():
    return told_document()


# --- kept ---------------------------------------------------------------------------------------------------------


def test_what_was_kept_is_read_back(tmp_path, told):
    sha256 = explanations.keep(tmp_path / "new", NAME, told)

    assert explanations.read(tmp_path / "new", NAME, {explanations.KEY: sha256}) == told


def test_keeping_it_twice_or_over_half_a_file_changes_nothing(tmp_path, told):
    sha256 = explanations.keep(tmp_path, NAME, told)
    explanations.place(tmp_path, NAME, sha256).write_bytes(b"half")

    assert explanations.keep(tmp_path, NAME, told) == explanations.keep(tmp_path, NAME, told) == sha256
    assert len(list(tmp_path.iterdir())) == 1
    assert explanations.read(tmp_path, NAME, {explanations.KEY: sha256}) == told


def test_an_altered_or_lost_explanation_is_refused_with_its_place(tmp_path, told):
    sha256 = explanations.keep(tmp_path, NAME, told)
    path = explanations.place(tmp_path, NAME, sha256)
    path.write_bytes(path.read_bytes().replace(b"broken_detector", b"real_shift"))

    with pytest.raises(ExplanationError, match=r"was altered: the record names sha256 \w+"):
        explanations.read(tmp_path, NAME, {explanations.KEY: sha256})
    path.unlink()
    with pytest.raises(ExplanationError, match="cannot be read"):
        explanations.read(tmp_path, NAME, {explanations.KEY: sha256})
    with pytest.raises(ExplanationError, match="no explanation was kept"):
        explanations.read(tmp_path, NAME, {})


def test_one_that_a_newer_program_wrote_is_not_guessed_at(tmp_path, told):
    sha256 = explanations.keep(tmp_path, NAME, {**told, "version": 2})

    with pytest.raises(ExplanationError, match="version 2"):
        explanations.read(tmp_path, NAME, {explanations.KEY: sha256})


def test_no_name_of_a_stream_leaves_the_folder(tmp_path, told):
    explanations.keep(tmp_path / "kept", "../../a b/é:1:2:transient", told)

    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    assert [bool(re.fullmatch(r"[A-Za-z0-9._-]+\.json", one.name)) for one in (tmp_path / "kept").iterdir()] == [True]


def test_it_is_small_and_an_outsized_one_goes_without_its_maps(told):
    huge = {**told, "maps": told["maps"] * 40}

    assert len(explanations.encoded(told)) < 100_000
    assert json.loads(explanations.encoded(huge))["maps"] == []
    assert len(explanations.encoded(huge)) < explanations.LARGEST


def test_an_alarm_that_could_not_be_explained_is_raised_without(alarm):
    assert explanations.document(replace(alarm, explanation=None)) is None


# --- drawn --------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Fails on a tag that is closed in the wrong order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.all = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_no_network_no_script_and_no_file(told):
    page = static_page(told)
    tags = Tags(page).all

    assert {name for _, attrs in tags for name in attrs} & {"src", "href", "srcset", "style", "onclick"} == set()
    assert {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert not re.search(r"url\(|@import|https?:", page)
    assert "prefers-color-scheme: dark" in page


def test_every_picture_says_in_words_what_it_shows(told):
    page = static_page(told)
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)

    assert len(pictures) >= len(told["curves"]) + 2
    for one in pictures:
        assert re.search(r'role="img" aria-label="[^"]{8,}"', one)
        assert re.search(r"<title>[^<]{8,}</title><desc>[^<]{8,}</desc>", one)
    assert page.count("<tr") > len(told["lumisections"])


def test_the_first_words_are_what_where_since_when_what_to_do_and_what_speaks_against(told):
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", static_page(told), flags=re.DOTALL))
    start = text.index("Broken detector: JET loss of")
    first = text[start : start + 500]

    for words in ("in eta -", "since run", "To do: Call the detector expert; do not retrain.", "Against it:"):
        assert words in first
    assert "What was ruled out" in text
    assert "Not a transient" in text


def test_a_phone_leaves_out_what_the_lines_below_the_headline_repeat(told):
    pieces = explained.headline(told)
    short = "".join(piece for piece, repeated in pieces if not repeated)

    assert "".join(piece for piece, _ in pieces) == explained.lead(told)[0]
    assert [piece.split()[:2] for piece, repeated in pieces if repeated] == [["in", "eta"], [",", "since"]]
    assert "eta" not in short
    assert "lumisection" not in short
    assert len(short) < 0.6 * len(explained.lead(told)[0])


def test_what_moved_by_less_than_one_unit_of_evidence_is_not_shown(told):
    parts = [{"object": "EG", "words": f"part {evidence}", "log_evidence": evidence, "since": None}
             for evidence in (9.0, 1.0, 0.9, -0.2)]  # fmt: skip
    page = static_page({**told, "contributors": parts})
    nothing = static_page({**told, "contributors": parts[2:]})

    assert "Part 9.0" in page
    assert "Part 1.0" in page
    assert "Part 0.9" not in page
    assert "No single part; many small ones add up." in nothing


def test_text_of_an_alarm_is_never_markup(told):
    evil = "<script>alert(1)</script>"
    alarm = {**told["alarm"], "text": evil, "against": evil, "action": evil, "stream": evil}
    curves = [{**one, "name": evil} for one in told["curves"]]
    maps = [{**one, "map": evil} for one in told["maps"]]
    ruled = [{**one, "words": evil, "rule": evil} for one in told["ruled_out"]]
    page = static_page({**told, "alarm": alarm, "curves": curves, "maps": maps, "ruled_out": ruled})

    assert "<script" not in page


def test_an_alarm_without_region_maps_or_rules_has_a_page_too(told):
    alarm = {**told["alarm"], "box": None, "verdict": "contract"}
    curves = [{**one, "pulls": [None] * len(one["pulls"])} for one in told["curves"]]
    page = static_page({**told, "alarm": alarm, "inside": None, "maps": [], "ruled_out": [], "curves": curves})

    assert "a broken contract is a fact of one lumisection" in page
    assert "No region of its own" in page


@pytest.mark.parametrize(
    ("seen", "due", "kind"),
    [
        (0, 1.0, "poor"), (40, 1.0, "m4"), (20, 20.0, "s"), (26, 20.0, "s"), (0, 20.0, "l4"), (6, 20.0, "l3"),
        (130, 200.0, "l2"), (650, 1000.0, "l2"), (900, 1000.0, "l1"), (1100, 1000.0, "m1"), (1300, 1000.0, "m1"),
        (1500, 1000.0, "m2"), (3000, 1000.0, "m3"), (5000, 1000.0, "m4"),
    ],
)  # fmt: skip
def test_a_cell_is_coloured_by_its_ratio_once_it_is_beyond_counting(seen, due, kind):
    assert heat.class_of(seen, due, 5.0) == kind


def test_a_pull_outside_its_band_and_the_seam_between_fills_are_drawn():
    axis = timelines.Axis("1:1", "2:9", 4, 3, (2,))
    picture = str(timelines.pull_chart([0.1, None, -0.5, 6.0], (-2, 2), axis, "pulls of x", "x rose"))

    assert picture.count('class="dot"') == 2
    assert picture.count('class="dot out"') == 1
    assert picture.count('class="seam"') == 1
    assert re.search(r'class="line" d="M[^L]*M[^L]*L[^L]*"', picture)


def test_the_region_is_compared_before_and_after_the_onset(told):
    _, said = explained.inside(told)
    seen, due = (int(one) for one in re.search(r"since the onset (\d+) .* where (\d+) were due, before", said).groups())

    assert seen < 0.5 * due


# --- on the page --------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def mila(world):
    return Browser(application(world, explanations=world.folder / "explanations"), "mila")


def test_the_overview_leads_to_why_an_alarm_was_raised(world, told):
    raise_alarm(world, told)
    browser = mila(world)
    links = set(re.findall(r'href="(/alarms/[^"]+)"', browser.get("/").text))
    text = browser.get(links.pop()).text

    assert links == set()
    assert "What was ruled out" in text
    assert text.count("<svg") >= 8
    assert "style=" not in text
    assert "<style" not in text


def test_an_alarm_without_an_explanation_says_so_and_shows_what_is_known(world):
    answer = mila(world).get("/alarms/a-401003")

    assert answer.status_code == 200
    assert "No explanation was kept with alarm a-401003" in answer.text
    assert "Electron and photon momenta fell" in answer.text


def test_an_altered_explanation_is_said_and_not_shown(world, told):
    raise_alarm(world, told)
    (path,) = (world.folder / "explanations").iterdir()
    path.write_bytes(path.read_bytes().replace(b"JET", b"MET"))
    text = mila(world).get(f"/alarms/{NAME}").text

    assert "was altered" in text
    assert "What was ruled out" not in text


def test_an_unknown_alarm_is_not_found(world):
    answer = mila(world).get("/alarms/a-1")

    assert answer.status_code == 404
    assert "there is no alarm" in answer.text
    with pytest.raises(RefusedError):
        explanations.raised(world.ledger, STREAM, "a-1")
