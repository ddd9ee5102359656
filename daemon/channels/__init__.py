"""The ways that messages to people go: Alertmanager, Mattermost, e-mail, a command, Grafana's annotations.

Each channel is one port: `send` returns when the message was taken, and raises `DeliveryError` otherwise.  A message
that may have arrived before is `unsure`; where the far side cannot drop a second one, the message says that it may be.
"""

from daemon.channels.alertmanager import Alertmanager
from daemon.channels.command import Command
from daemon.channels.grafana_notes import GrafanaNotes
from daemon.channels.mail import Mail
from daemon.channels.mattermost import Mattermost
from daemon.channels.port import MAYBE_TWICE, Channel

__all__ = ["MAYBE_TWICE", "Alertmanager", "Channel", "Command", "GrafanaNotes", "Mail", "Mattermost"]
