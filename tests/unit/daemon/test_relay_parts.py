"""What the daemon runs beside its loop: channels from the configuration, a relay thread, and a check of the record."""

import sqlite3
import time
from dataclasses import dataclass, field

import pytest

from daemon.config import load
from daemon.errors import ConfigurationError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.record_figures import AUDIT, record_figures
from daemon.relay import Relay, RelayThread, channels_of
from daemon.room import room_of
from daemon.self_check import check
from tests.unit.daemon.lifecycle_examples import NOON
from tests.unit.daemon.page_world import BROKEN, STREAM


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as made:
        yield made


@dataclass
class Ear:
    name: str = "ear"
    heard: list = field(default_factory=list)

    def send(self, message, *, unsure):
        self.heard.append(message.title)


def settings_with(tmp_path, text):
    path = tmp_path / "retrigger.toml"
    path.write_text(text)
    return load(path)


def alarm():
    return f.AlarmRaised(at=NOON, actor="daemon", stream=STREAM, alarm_id="a", alarm=BROKEN)


def test_every_way_that_is_configured_becomes_a_channel(tmp_path):
    for name in ("hook", "token", "password"):
        (tmp_path / name).write_text("s3cr3t\n")
    settings = settings_with(
        tmp_path,
        """
        [notify]
        alertmanager = "http://127.0.0.1:9093"
        mattermost_url_file = "hook"
        command = ["/bin/true"]
        mail = { server = "localhost", to = ["a@b"], user = "u", password_file = "password" }
        [grafana]
        url = "http://127.0.0.1:3000"
        token_file = "token"
        """,
    )

    assert [one.name for one in channels_of(settings)] == ["alertmanager", "mattermost", "mail", "command", "grafana"]


def test_without_a_way_there_is_no_channel(tmp_path):
    assert channels_of(settings_with(tmp_path, "")) == []


def test_a_secret_that_is_empty_is_named(tmp_path):
    (tmp_path / "hook").write_text("\n")
    settings = settings_with(tmp_path, '[notify]\nmattermost_url_file = "hook"\n')

    with pytest.raises(ConfigurationError, match=r"notify\.mattermost_url_file: .*hook is empty; write the secret"):
        channels_of(settings)


def test_the_relay_delivers_beside_the_loop_and_ends_when_told(ledger):
    ear = Ear()
    thread = RelayThread(Relay(ledger, [ear], "https://page"), lambda: NOON, period_s=0.05)
    thread.start()
    ledger.append(STREAM, [alarm()])
    end = time.monotonic() + 20
    while not ear.heard and time.monotonic() < end:
        time.sleep(0.02)
    thread.close()
    ledger.append(STREAM, [alarm()])
    time.sleep(0.2)

    assert len(ear.heard) == 1


def test_a_check_of_the_record_is_kept_for_the_metrics(ledger, tmp_path):
    ledger.append(STREAM, [alarm()])
    before = record_figures(ledger, ledger.figures(), NOON)
    sound = check(ledger, NOON)
    between = record_figures(ledger, ledger.figures(), NOON)
    with sqlite3.connect(tmp_path / "ledger.db") as base:
        base.execute("drop trigger facts_no_update")
        base.execute("update facts set body = replace(body, 'daemon', 'nobody')")
    broken = check(ledger, NOON)
    after = record_figures(ledger, ledger.figures(), NOON)

    assert (sound, before.intact, between.intact) == ([], None, True)
    assert broken
    assert after.intact is False
    assert ledger.status()[AUDIT].body["sequence"] == between.checked_sequence == 1


def test_messages_are_counted_by_channel_with_zeros_from_the_start(ledger):
    ledger.append(STREAM, [alarm()])
    Relay(ledger, [Ear()], "https://page").step(NOON)
    figures = record_figures(ledger, ledger.figures(), NOON)

    assert figures.messages == {("ear", "sent"): 1, ("ear", "owed"): 0, ("ear", "given_up"): 0}
    assert figures.oldest_message_s is None


def test_the_room_on_every_disk_is_known_and_a_folder_that_is_gone_is_left_out(tmp_path):
    settings = settings_with(tmp_path, "")
    settings.state.mkdir()
    found = room_of(settings)

    assert found.keys() == {"state"}
    assert 0 < found["state"][0] <= found["state"][1]
