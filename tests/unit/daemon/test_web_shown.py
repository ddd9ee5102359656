"""What an approver sees, and in which order."""

import re
from datetime import timedelta

import pytest

from daemon.lifecycle import facts as f
from daemon.web import create_app
from tests.unit.daemon.page_world import NOON, PASSWORD, PUBLIC_URL, SLOT, STREAM, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def test_what_speaks_against_a_candidate_comes_before_everything_that_speaks_for_it(world):
    text = Browser(application(world), "mila").get(f"/candidates/{world.propose()}").text
    headings = re.findall(r"<h2[^>]*>([^<]+)", text)

    assert [one.strip() for one in headings] == [
        "What is asked",
        "What speaks against it",
        "Why now",
        "What changes",
        "Physics",
        "Hardware",
        "Safety",
        "Provenance",
        "Your decision",
        "Its record",
    ]


def test_the_page_says_why_what_and_how_well_it_is_known(world):
    text = Browser(application(world), "mila").get(f"/candidates/{world.propose()}").text
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))

    for sentence in (
        "new weights, same architecture and bit widths",
        "12 of 12 gates passed",
        "Electron and photon momenta fell by about 4 %",
        "The fill was 55 lumisections old",
        "103 kHz to 201 kHz",
        "Mismatching vectors 0",
        "LUT, ESTIMATE",
        "Learned from 401003:12-80, 401003:101-160",
        "what runs now; one step, allowed at any time",
    ):
        assert sentence in plain, sentence


def test_an_open_fault_and_a_change_of_the_board_speak_against_it(world):
    name, app = world.propose(), application(world)
    world.open_fault()
    other = world.folder / "bundles" / world.candidate(name).bundle_digest
    world.target.deploy(other.name, other, token=2)

    text = Browser(app, "mila").get(f"/candidates/{name}").text

    assert "A detector fault is open: a-401002" in text
    assert "the running model" in text


def test_a_fault_is_drawn_where_it_is(world):
    world.open_fault()
    text = Browser(application(world), "timo").get("/").text

    assert 'class="box"' in text
    assert "eta -3 to -1.3" in text


def test_text_from_the_record_is_never_markup(world):
    alarm = {"verdict": "real_shift", "text": "<script>alert(1)</script>", "contributors": [], "onset": {}}
    fact = f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a-9", alarm=alarm)
    world.ledger.append(STREAM, [fact])

    text = Browser(application(world), "mila").get("/").text

    assert "<script>" not in text
    assert "alert(1)</script" not in text
    assert "&lt;script&gt;" in text


def test_a_silent_daemon_is_said_on_the_first_page(world):
    world.now += timedelta(minutes=10)

    assert "The daemon has said nothing for 10 min" in Browser(application(world), "mila").get("/").text


def test_an_empty_record_has_a_page_as_well(tmp_path):
    from daemon.ledger import Ledger
    from daemon.people import People
    from tests.unit.daemon.page_world import QUICK

    world = PageWorld.build(tmp_path / "full") if (tmp_path / "full").mkdir() is None else None
    with Ledger.open(f"sqlite:///{tmp_path / 'empty.db'}") as ledger:
        people = People(ledger, QUICK)
        people.add_person("mila", PASSWORD, ["ml_expert"], by="root", now=NOON)
        app = create_app(
            ledger,
            people,
            world.sight,
            world.policy,
            stream=STREAM,
            slot=SLOT,
            public_url=PUBLIC_URL,
            clock=lambda: NOON,
        )
        text = Browser(app, "mila").get("/").text
    world.ledger.close()

    assert "The daemon has never run on this record" in text
