"""What a channel is, and how one speaks HTTP."""

from collections.abc import Mapping
from typing import Any, Protocol

import httpx

from daemon.errors import DeliveryError
from daemon.lifecycle.announcing import Announcement

MAYBE_TWICE = "(The daemon was interrupted while it sent this; you may have it already.)"


class Channel(Protocol):
    """One way to people."""

    @property
    def name(self) -> str:
        """How the record and the metrics call it."""

    def send(self, message: Announcement, *, unsure: bool) -> None:
        """Hand one message over; return when it was taken.

        Idempotent where the far side can be asked or drops what it knows: Alertmanager, Grafana, and mail readers by
        the message id.  Elsewhere `unsure` adds a line that says so.

        Raises:
            DeliveryError: It was not taken; `unsure` there says whether it may have arrived all the same.
        """


def ask(verb: str, url: str, *, body: Any = None, timeout_s: float, secret: bool = False) -> Any:
    """Send JSON and return the JSON that comes back, None when nothing does.

    Args:
        verb: ``GET`` or ``POST``.
        url: Whole address.
        body: JSON values.
        timeout_s: For connecting, and for the answer.
        secret: Whether the address must not be told.

    Raises:
        DeliveryError: There was no answer, or it was no yes.
    """
    where = "the webhook" if secret else url
    try:
        answer = httpx.request(verb, url, json=body, timeout=timeout_s)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise DeliveryError(f"{where} cannot be reached ({type(error).__name__})", unsure=False) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryError(f"{where} did not answer ({type(error).__name__})", unsure=True) from error
    if answer.status_code >= 300:
        said = answer.headers.get("Retry-After", "")
        after_s = float(said) if said.isdigit() else None
        text = f"{where} answered {answer.status_code}: {' '.join(answer.text.split())[:160]}"
        raise DeliveryError(text, unsure=answer.status_code >= 500, after_s=after_s)
    try:
        return answer.json()
    except ValueError:
        return None


def as_json(message: Announcement, *, unsure: bool) -> Mapping[str, Any]:
    """Return a message as JSON values, for machines."""
    return {
        "key": message.key,
        "severity": message.severity,
        "title": message.title,
        "since": message.since,
        "asked": message.asked,
        "link": message.link,
        "at": message.at.isoformat(),
        "labels": dict(message.labels),
        "resolved": message.closes,
        "maybe_repeated": unsure,
    }
