"""Annotations in Grafana: they name run, lumisection and person, which no metric may."""

from daemon.errors import DeliveryError
from daemon.lifecycle.announcing import Announcement
from dashboards.grafana import Grafana, GrafanaError
from dashboards.push import Note, annotation


class GrafanaNotes:
    """A Grafana that takes annotations; each is looked for by its key before it is made."""

    name = "grafana"

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana

    def send(self, message: Announcement, *, unsure: bool) -> None:  # noqa: ARG002  # it is looked for in any case
        """Have the annotation of this message."""
        tags = (message.severity, *message.labels.values())
        text = f"{message.title}\nSince: {message.since}\n{message.link}"
        try:
            annotation(self._grafana, Note(message.key, message.at.timestamp(), text, tags))
        except GrafanaError as error:
            raise DeliveryError(str(error), unsure=False, after_s=error.after_s) from error
