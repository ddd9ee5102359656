"""Deliver what the outbox owes, one message after another: never lost, and told as possibly repeated rather than lost.

A message is marked as being sent before it is sent, and as sent after.  Between the two a crash leaves it unsure; it is
sent again, and every channel either drops the second one or says so in it.  Nothing here knows what a message is about.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.channels import Alertmanager, Channel, Command, GrafanaNotes, Mail, Mattermost
from daemon.config import Settings
from daemon.errors import ConfigurationError, DeliveryError, LeaseLostError, RetriggerError
from daemon.ledger import Delivery, Ledger
from daemon.lifecycle.announcing import Announcement, announcement
from dashboards.grafana import HttpGrafana

log = logging.getLogger("retrigger.relay")
LEASE_S = 120.0
FIRST_WAIT_S = 10.0
LONGEST_WAIT_S = 3_600.0
GIVE_UP_AFTER = timedelta(days=7)
"""After that a message is history; it stays in the record and on the page."""
AT_ONCE = 50
CHOOSY = ("mattermost", "mail", "command")
RANK = {"info": 0, "warn": 1, "page": 2}


@dataclass(frozen=True)
class Relay:
    """Delivers for one ledger.

    Attributes:
        ledger: Whose outbox.
        channels: The ways there are.
        url: Of the approval page, for links.
        least: The least severity that people's channels get.
    """

    ledger: Ledger
    channels: Sequence[Channel]
    url: str
    least: str = "info"

    def step(self, now: datetime) -> int:
        """Deliver what is due; return how many messages were delivered."""
        ways = {one.name: one for one in self.channels}
        self.ledger.route(ways, now)
        sent = 0
        for _ in range(AT_ONCE):
            taken = self.ledger.claim_delivery(now, LEASE_S)
            if taken is None:
                break
            sent += self._deliver(taken, ways.get(taken.channel), now)
        return sent

    def _deliver(self, taken: Delivery, way: Channel | None, now: datetime) -> bool:
        stored = taken.stored
        message = announcement(stored.sequence, stored.subject, stored.fact, self.url)
        try:
            self._hand_over(message, taken, way)
            self.ledger.close_delivery(taken, now)
        except DeliveryError as error:
            self._later(taken, error, now)
            return False
        except LeaseLostError as error:
            log.warning("%s", error)
            return False
        except (OSError, ValueError, TypeError, LookupError) as error:  # one odd message must not end all others
            log.exception("message %d to %s broke its channel", stored.sequence, taken.channel)
            self._later(taken, DeliveryError(f"the channel broke: {error!r}", unsure=True), now)
            return False
        return True

    def _hand_over(self, message: Announcement, taken: Delivery, way: Channel | None) -> None:
        if way is None:
            raise DeliveryError(f"no channel {taken.channel} is configured any more", unsure=False)
        if self._wanted(message, way.name):
            way.send(message, unsure=taken.unsure)

    def _wanted(self, message: Announcement, channel: str) -> bool:
        return channel not in CHOOSY or RANK[message.severity] >= RANK[self.least]

    def _later(self, taken: Delivery, error: DeliveryError, now: datetime) -> None:
        if now - taken.owed_since > GIVE_UP_AFTER:
            log.error("message %d to %s is given up: %s", taken.stored.sequence, taken.channel, error)
            self.ledger.close_delivery(taken, now, error=str(error))
            return
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(taken.attempt - 1, 20), LONGEST_WAIT_S)
        wait_s = max(wait_s, error.after_s or 0.0)
        if taken.attempt == 1:
            log.warning("message %d to %s waits: %s", taken.stored.sequence, taken.channel, error)
        self.ledger.retry_delivery(taken, str(error), now + timedelta(seconds=wait_s), unsure=error.unsure)


class RelayThread:
    """Runs a relay beside the loop, so that a slow mail server never makes the loop wait."""

    def __init__(self, relay: Relay, clock: Callable[[], datetime], period_s: float = 2.0) -> None:
        self._relay = relay
        self._clock = clock
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the message that is being sent; what is owed stays owed."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def _run(self) -> None:
        trouble = ""
        while not self._stop.is_set():
            try:
                self._relay.step(self._clock())
                trouble = ""
            except RetriggerError as error:
                if str(error) != trouble:
                    log.warning("messages cannot be delivered now: %s", error)
                trouble = str(error)
            self._stop.wait(self._period_s)


def relay_of(settings: Settings, ledger: Ledger) -> Relay:
    """Return the relay that a configuration asks for."""
    return Relay(ledger, channels_of(settings), settings.web.public_url.rstrip("/"), settings.notify.least)


def channels_of(settings: Settings) -> list[Channel]:
    """Return the channels that a configuration names.

    Raises:
        ConfigurationError: A file with a secret cannot be read.
    """
    notify, grafana, timeout_s = settings.notify, settings.grafana, settings.notify.timeout_s
    found: list[Channel] = []
    if notify.alertmanager:
        found.append(Alertmanager(notify.alertmanager, timeout_s=timeout_s))
    if notify.mattermost_url_file is not None:
        url = secret(notify.mattermost_url_file, "notify.mattermost_url_file")
        found.append(Mattermost(url, timeout_s=timeout_s))
    if notify.mail.server:
        mail = notify.mail
        password = "" if mail.password_file is None else secret(mail.password_file, "notify.mail.password_file")
        login = (mail.user, password) if mail.user else None
        more = {"sender": mail.sender, "to": mail.to, "starttls": mail.starttls, "login": login}
        found.append(Mail(mail.server, mail.port, timeout_s=timeout_s, **more))  # type: ignore[arg-type]  # one dict
    if notify.command:
        found.append(Command(notify.command, timeout_s=timeout_s))
    if grafana.url and grafana.token_file is not None:
        token = secret(grafana.token_file, "grafana.token_file")
        found.append(GrafanaNotes(HttpGrafana(grafana.url, token, timeout_s=timeout_s)))
    return found


def secret(path: Path, what: str) -> str:
    """Return the one line of a file that only the daemon may read.

    Raises:
        ConfigurationError: It cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{what}: {path} cannot be read ({error.strerror}); write the secret into it"
        ) from error
    if not text:
        raise ConfigurationError(f"{what}: {path} is empty; write the secret into it")
    return text
