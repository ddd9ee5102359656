"""Alertmanager, through its v2 API: alarms as alerts, what ends them as their end, and people's silences."""

from datetime import datetime
from typing import Any

from daemon.channels.port import ask
from daemon.lifecycle.announcing import Announcement


class Alertmanager:
    """An Alertmanager at a URL.

    An alert is known by its labels, so posting it twice is posting it once.  A silence is looked for by the key in its
    comment before it is made.
    """

    name = "alertmanager"

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = f"{url.rstrip('/')}/api/v2"
        self._timeout_s = timeout_s

    def send(self, message: Announcement, *, unsure: bool) -> None:  # noqa: ARG002  # repeating is harmless here
        """Post an alert, its end, or a silence; messages that are none of these are not for Alertmanager."""
        if message.quiet_until is not None:
            self._silence(message, message.quiet_until)
        elif message.closes and message.labels:
            self._alert(message, ends=message.at, starts=None)
        elif message.ends is not None:
            self._alert(message, ends=message.ends, starts=message.at)

    def _alert(self, message: Announcement, *, ends: datetime, starts: datetime | None) -> None:
        alert: dict[str, Any] = {
            "labels": {**message.labels, "told_by": "retrigger"},
            "annotations": {"summary": message.title, "since": message.since, "description": message.asked},
            "endsAt": ends.isoformat(),
            "generatorURL": message.link,
        }
        if starts is not None:
            alert["startsAt"] = starts.isoformat()
        ask("POST", f"{self._url}/alerts", body=[alert], timeout_s=self._timeout_s)

    def _silence(self, message: Announcement, until: datetime) -> None:
        mark = f"[{message.key}]"
        known = ask("GET", f"{self._url}/silences", timeout_s=self._timeout_s) or []
        if any(mark in one.get("comment", "") for one in known):
            return
        names = ("alertname", "stream", "slot")
        matchers = [
            {"name": name, "value": message.labels[name], "isRegex": False, "isEqual": True}
            for name in names
            if name in message.labels
        ]
        silence = {
            "matchers": matchers,
            "startsAt": message.at.isoformat(),
            "endsAt": until.isoformat(),
            "createdBy": message.by,
            "comment": f"{message.title} {mark}",
        }
        ask("POST", f"{self._url}/silences", body=silence, timeout_s=self._timeout_s)
