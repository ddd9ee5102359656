"""One message per onset says what happened, since when, what is asked of whom, and where to look."""

from datetime import timedelta

import pytest

from daemon.errors import FactError
from daemon.lifecycle import AlarmAcknowledged, AlarmSilenced, Phase
from daemon.lifecycle import board_facts as b
from daemon.lifecycle import facts as f
from daemon.lifecycle.announcing import ACKNOWLEDGED_FOR, announcement, told
from tests.unit.daemon.lifecycle_examples import NOON, SLOT, Course
from tests.unit.daemon.page_world import BROKEN, SHIFT, STREAM

URL = "https://retrigger.example"
BY = {"at": NOON, "actor": "daemon"}


def raised(alarm):
    name = f"{STREAM}:{alarm['run']}:{alarm['lumisection']}:{alarm['verdict']}"
    return f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id=name, alarm=alarm)


def test_a_broken_detector_says_since_when_who_is_asked_and_where_to_look():
    message = announcement(7, STREAM, raised(BROKEN), URL)

    assert message.severity == "page"
    assert message.title.startswith(f"{STREAM}: Jets are missing in eta")
    assert message.since == "run 401002, lumisection 111"
    assert message.asked == "shift leader: call the HCAL detector on-call; do not retrain"
    assert message.link == f"{URL}/alarms/ZeroBias%3A401002%3A118%3Abroken_detector"
    assert message.labels == {"alertname": "RetriggerDetectorBroken", "stream": STREAM, "severity": "page"}
    assert message.text.count("\n") == 3


def test_a_shift_informs_and_its_alert_ends_by_itself():
    message = announcement(8, STREAM, raised(SHIFT), URL)

    assert (message.severity, message.labels["alertname"]) == ("info", "RetriggerRealShift")
    assert message.ends == NOON + timedelta(hours=1)


def test_an_alarm_and_the_fault_that_it_opens_are_one_message():
    common = {"at": NOON, "actor": "daemon", "stream": STREAM, "alarm_id": "a", "alarm": BROKEN}

    assert told(f.AlarmRaised(**common))
    assert not told(f.FaultOpened(**common, onset_run=1, onset_lumisection=1))


def test_closing_a_fault_ends_the_alert_with_the_same_labels():
    opened = raised(BROKEN)
    closed = f.FaultClosed(at=NOON, actor="timo", stream=STREAM, alarm_id=opened.alarm_id, person="timo", reason="fuse")
    message = announcement(9, STREAM, closed, URL)

    assert message.closes
    assert message.labels == announcement(7, STREAM, opened, URL).labels


def test_a_silence_and_an_acknowledgement_say_by_whom_and_until_when():
    name = raised(BROKEN).alarm_id
    until = NOON + timedelta(hours=3)
    common = {"at": NOON, "actor": "timo", "stream": STREAM, "alarm_id": name, "person": "timo", "reason": "known"}
    silence = announcement(1, STREAM, AlarmSilenced(**common, until=until), URL)
    taken = announcement(2, STREAM, AlarmAcknowledged(**common), URL)

    assert (silence.quiet_until, silence.by) == (until, "timo")
    assert taken.quiet_until == NOON + ACKNOWLEDGED_FOR
    assert silence.labels["alertname"] == "RetriggerDetectorBroken"


def test_every_fact_of_a_candidate_that_is_told_has_a_message():
    facts = [one for one in Course().to(Phase.LIVE).facts if told(one)]
    messages = [announcement(n, "c-0001", one, URL) for n, one in enumerate(facts)]

    assert [type(one) for one in facts] == [f.Proposed, f.Deployed]
    assert messages[0].severity == "warn"
    assert "silence means no" in messages[0].asked
    assert SLOT in messages[1].title
    assert all(one.link == f"{URL}/candidates/c-0001" for one in messages)


def test_a_board_that_differs_pages_and_ends_when_it_agrees():
    differs = f.BoardDiffers(at=NOON, actor="daemon", slot=SLOT, expected="a" * 64, found="")
    agrees = f.BoardAgrees(at=NOON, actor="daemon", slot=SLOT, digest="a" * 64)
    page, end = (announcement(n, "c-0001", one, URL) for n, one in enumerate((differs, agrees)))

    assert page.severity == "page"
    assert "cannot be read" in page.title
    assert end.closes
    assert end.labels == page.labels


@pytest.mark.parametrize(
    ("fact", "title"),
    [
        (
            b.GlassBroken(request_id="r", person="timo", role="trigger_oncall", reason="hot", **BY),
            "timo (trigger oncall)",
        ),
        (b.ReviewOverdue(request_id="r", due=NOON, **BY), "why the glass was broken for c-0001"),
        (b.GuardTripped(request_id="r", guard="rate", reason="21 kHz", **BY), "taken off the board (rate): 21 kHz"),
    ],
)
def test_a_broken_glass_its_review_and_a_tripped_guard_page(fact, title):
    message = announcement(1, "c-0001", fact, URL)

    assert told(fact)
    assert message.severity == "page"
    assert title in message.title
    assert message.link == f"{URL}/candidates/c-0001"


def test_a_board_that_does_not_do_what_its_emulator_does_pages():
    fact = b.BoardOutputDiffers(slot=SLOT, digest="a" * 64, run=7, lumisection=3, events=900, mismatches=2, **BY)
    message = announcement(1, SLOT, fact, URL)

    assert told(fact)
    assert (message.severity, message.link) == ("page", f"{URL}/")
    assert "2 of 900 events in 7:3" in message.title


def test_a_deployment_that_fails_again_is_told_once():
    common = {"at": NOON, "actor": "daemon", "request_id": "r", "digest": "d", "reason": "timeout"}

    assert told(f.DeploymentFailed(**common, attempt=1))
    assert not told(f.DeploymentFailed(**common, attempt=2))


def test_what_nobody_is_told_has_no_message():
    paused = f.Paused(at=NOON, actor="carla", reason="scan")

    assert not told(paused)
    with pytest.raises(FactError, match="nobody is told of a paused"):
        announcement(1, "daemon", paused, URL)


def test_two_facts_never_have_one_key():
    assert announcement(1, STREAM, raised(BROKEN), URL).key != announcement(2, STREAM, raised(BROKEN), URL).key
