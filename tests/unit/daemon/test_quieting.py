"""Whoever may close a fault may take an alarm on or ask for quiet, and the outbox carries it."""

from datetime import timedelta

import pytest

from daemon.lifecycle import AlarmAcknowledged, AlarmSilenced
from daemon.relay import Relay
from tests.unit.daemon.page_world import STREAM, PageWorld
from tests.unit.daemon.web_visitors import Browser, application

ALARM = "a-401002"
PATH = f"/alarms/{ALARM}/quiet"


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def send(world, name, **filled):
    browser = Browser(application(world), name)
    body = {"reason": "HCAL expert is on it", **browser.fields("/", PATH), **filled}
    return browser.http.post(PATH, data=body)


def said(world):
    kinds = (AlarmAcknowledged, AlarmSilenced)
    return [one.fact for one in world.ledger.facts(subject=STREAM) if isinstance(one.fact, kinds)]


def test_who_takes_an_alarm_on_is_in_the_record(world):
    answer = send(world, "timo", hours="0")

    (fact,) = said(world)
    assert answer.status_code == 303
    assert (type(fact), fact.person, fact.reason) == (AlarmAcknowledged, "timo", "HCAL expert is on it")
    assert world.ledger.verify() == []


def test_quiet_for_some_hours_reaches_the_channels_with_its_end(world):
    heard = []

    class Ear:
        name = "alertmanager"

        def send(self, message, *, unsure):
            heard.append(message)

    send(world, "timo", hours="8")
    Relay(world.ledger, [Ear()], "https://page").step(world.now)

    (fact,) = said(world)
    assert fact.until == fact.at + timedelta(hours=8)
    assert heard[-1].quiet_until == fact.until
    assert heard[-1].by == "timo"


def test_a_viewer_may_not_and_nothing_is_recorded(world):
    answer = send(world, "vera", hours="2")

    assert answer.status_code == 403
    assert "Not for your roles" in answer.text
    assert said(world) == []


@pytest.mark.parametrize(
    ("filled", "why"),
    [
        ({"reason": " "}, "say in one sentence why"),
        ({"hours": "-1"}, "cannot be asked for"),
        ({"hours": "1000"}, "say more than 0 and at most 72"),
        ({"hours": "nan"}, "cannot be asked for"),
    ],
)
def test_quiet_without_reason_or_end_is_refused(world, filled, why):
    answer = send(world, "timo", **filled)

    assert answer.status_code == 409
    assert why in answer.text
    assert said(world) == []


def test_an_alarm_that_is_not_there_cannot_be_silenced(world):
    browser = Browser(application(world), "timo")
    answer = browser.http.post("/alarms/none/quiet", data={"reason": "x", **browser.fields("/", PATH)})

    assert answer.status_code == 409
    assert "there is no open alarm" in answer.text


def test_a_form_from_elsewhere_is_refused(world):
    answer = Browser(application(world), "timo").http.post(PATH, data={"reason": "x", "hours": "2"})

    assert answer.status_code == 403
    assert said(world) == []
