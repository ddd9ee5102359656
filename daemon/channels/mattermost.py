"""Mattermost, through an incoming webhook."""

from daemon.channels.port import MAYBE_TWICE, ask
from daemon.lifecycle.announcing import Announcement

SIGNS = {"page": ":rotating_light:", "warn": ":warning:", "info": ":information_source:"}


class Mattermost:
    """A channel's incoming webhook; its address is a secret, and is never told in an error."""

    name = "mattermost"

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def send(self, message: Announcement, *, unsure: bool) -> None:
        """Post one message; a webhook cannot be asked what it has, so a possible repetition is said in it."""
        lines = [
            f"{SIGNS[message.severity]} **{message.title}**",
            f"Since: {message.since}",
            f"Asked: {message.asked}",
            f"[Look at it]({message.link})",
            *([MAYBE_TWICE] if unsure else []),
        ]
        body = {"username": "retrigger", "text": "\n".join(lines), "props": {"retrigger_key": message.key}}
        ask("POST", self._url, body=body, timeout_s=self._timeout_s, secret=True)
