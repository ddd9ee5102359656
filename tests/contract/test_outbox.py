"""A message is owed with its fact, delivered once, and never lost; held on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from daemon.errors import DeliveryError, LeaseLostError, StaleSequenceError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.relay import GIVE_UP_AFTER, LEASE_S, Relay
from tests.contract.ledger_examples import paused
from tests.unit.daemon.lifecycle_examples import NOON
from tests.unit.daemon.page_world import BROKEN, SHIFT, STREAM

SECOND = timedelta(seconds=1)


class Listener:
    """A channel that remembers, and fails as often as it is told to."""

    def __init__(self, name="ear", troubles=()):
        self.name = name
        self.troubles = list(troubles)
        self.heard = []

    def send(self, message, *, unsure):
        if self.troubles:
            raise self.troubles.pop(0)
        self.heard.append((message.key, message.severity, unsure))


class KilledError(BaseException):
    """The process ends here."""


class Deadly(Listener):
    """Takes the message, and then the daemon is killed before it can mark it."""

    def send(self, message, *, unsure):
        super().send(message, unsure=unsure)
        if len(self.heard) == 1:
            raise KilledError


def alarm(verdict=BROKEN, at=NOON):
    return f.AlarmRaised(at=at, actor="daemon", stream=STREAM, alarm_id="a", alarm=verdict)


def relay(ledger, *ways, least="info"):
    return Relay(ledger, ways, "https://page", least)


def test_a_fact_that_people_are_told_of_is_sent_once_to_every_channel(ledger):
    one, two = Listener("one"), Listener("two")
    ledger.append(STREAM, [alarm(), paused()])
    sent = [relay(ledger, one, two).step(NOON + n * SECOND) for n in range(3)]

    assert sent == [2, 0, 0]
    assert len(one.heard) == len(two.heard) == 1
    assert one.heard[0][1:] == ("page", False)


def test_a_fact_that_was_refused_owes_nothing(ledger):
    ear = Listener()
    with pytest.raises(StaleSequenceError):
        ledger.append_all([(STREAM, [alarm()], None), ("x", [paused()], 7)])

    assert relay(ledger, ear).step(NOON) == 0


def test_a_message_that_is_not_taken_is_tried_again_later_and_later(ledger):
    ear = Listener(troubles=[DeliveryError("down", unsure=False)] * 3)
    ledger.append(STREAM, [alarm()])
    mine, tries = relay(ledger, ear), []
    for second in range(120):
        left = len(ear.troubles)
        sent = mine.step(NOON + second * SECOND)
        if sent or len(ear.troubles) < left:
            tries.append(second)

    assert tries == [0, 10, 30, 70]
    assert len(ear.heard) == 1


def test_a_channel_that_is_down_holds_up_no_other(ledger):
    dead, ear = Listener("dead", [DeliveryError("down", unsure=False)] * 99), Listener("ear")
    ledger.append(STREAM, [alarm(), alarm(SHIFT)])
    relay(ledger, dead, ear).step(NOON)

    assert len(ear.heard) == 2
    assert ledger.outbox().counts == {("dead", "owed"): 2, ("ear", "sent"): 2}
    assert ledger.outbox().oldest == NOON


def test_a_kill_between_sending_and_marking_is_sent_again_and_said(url, ledger):
    ear = Deadly()
    ledger.append(STREAM, [alarm()])
    with pytest.raises(KilledError):
        relay(ledger, ear).step(NOON)
    with Ledger.open(url) as reborn:
        early = relay(reborn, ear).step(NOON + SECOND)
        late = relay(reborn, ear).step(NOON + timedelta(seconds=LEASE_S + 1))
        again = relay(reborn, ear).step(NOON + timedelta(hours=1))

    assert (early, late, again) == (0, 1, 0)
    assert [unsure for _, _, unsure in ear.heard] == [False, True]
    assert ear.heard[0][0] == ear.heard[1][0]


def test_an_answer_that_never_came_makes_the_next_try_unsure(ledger):
    ear = Listener(troubles=[DeliveryError("no answer", unsure=True)])
    ledger.append(STREAM, [alarm()])
    relay(ledger, ear).step(NOON)
    relay(ledger, ear).step(NOON + timedelta(minutes=1))

    assert [unsure for _, _, unsure in ear.heard] == [True]


def test_whoever_asks_for_quiet_gets_it(ledger):
    ear = Listener(troubles=[DeliveryError("busy", unsure=False, after_s=300.0)])
    ledger.append(STREAM, [alarm()])
    sent = [relay(ledger, ear).step(NOON + timedelta(seconds=s)) for s in (0, 200, 301)]

    assert sent == [0, 0, 1]


def test_after_a_week_a_message_is_given_up_and_counted(ledger):
    ear = Listener(troubles=[DeliveryError("down", unsure=False)] * 2)
    ledger.append(STREAM, [alarm()])
    relay(ledger, ear).step(NOON)
    relay(ledger, ear).step(NOON + GIVE_UP_AFTER + SECOND)

    assert ledger.outbox().counts == {("ear", "given_up"): 1}
    assert ledger.outbox().oldest is None


def test_a_channel_that_was_removed_is_said_and_not_forgotten(ledger):
    ledger.append(STREAM, [alarm()])
    relay(ledger, Listener("old", [DeliveryError("down", unsure=False)])).step(NOON)
    relay(ledger).step(NOON + timedelta(minutes=1))

    assert ledger.outbox().counts == {("old", "owed"): 1}


def test_people_get_only_what_is_grave_enough_and_machines_get_all(ledger):
    chat, machine = Listener("mattermost"), Listener("alertmanager")
    ledger.append(STREAM, [alarm(SHIFT), alarm(BROKEN)])
    relay(ledger, chat, machine, least="page").step(NOON)

    assert [severity for _, severity, _ in chat.heard] == ["page"]
    assert len(machine.heard) == 2


def test_without_a_channel_nothing_is_owed(ledger):
    ledger.append(STREAM, [alarm()])

    assert relay(ledger).step(NOON) == 0
    assert ledger.outbox().counts == {}


def test_two_relays_never_send_one_message_twice(ledger):
    ear = Listener()
    ledger.append(STREAM, [alarm()])
    ledger.route(["ear"], NOON)
    first = ledger.claim_delivery(NOON, LEASE_S)
    second = ledger.claim_delivery(NOON, LEASE_S)

    assert first is not None
    assert second is None
    assert relay(ledger, ear).step(NOON) == 0


def test_who_lost_the_lease_may_not_mark(ledger):
    ledger.append(STREAM, [alarm()])
    ledger.route(["ear"], NOON)
    slow = ledger.claim_delivery(NOON, LEASE_S)
    quick = ledger.claim_delivery(NOON + timedelta(seconds=LEASE_S + 1), LEASE_S)

    assert quick.unsure
    with pytest.raises(LeaseLostError, match="attempt 1 is no longer its own"):
        ledger.close_delivery(slow, NOON)
    ledger.close_delivery(quick, NOON)
