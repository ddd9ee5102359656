"""E-mail, through a relay."""

import smtplib
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

from daemon.channels.port import MAYBE_TWICE
from daemon.errors import DeliveryError
from daemon.lifecycle.announcing import Announcement


class Mail:
    """A mail relay and whom to write to.  A message has an id of its own, by which mail readers drop a second one."""

    name = "mail"

    def __init__(
        self,
        server: str,
        port: int,
        *,
        sender: str,
        to: Sequence[str],
        timeout_s: float,
        starttls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self._server = server
        self._port = port
        self._sender = sender
        self._to = tuple(to)
        self._timeout_s = timeout_s
        self._starttls = starttls
        self._login = login

    def send(self, message: Announcement, *, unsure: bool) -> None:
        """Hand one message to the relay; from there on it is the relay's."""
        letter = self.letter(message, unsure=unsure)
        handed = False
        try:
            with smtplib.SMTP(self._server, self._port, timeout=self._timeout_s) as relay:
                if self._starttls:
                    relay.starttls()
                if self._login is not None:
                    relay.login(*self._login)
                handed = True
                refused = relay.send_message(letter)
        except smtplib.SMTPResponseException as error:
            text = f"{self._server}:{self._port} answered {error.smtp_code}: {error.smtp_error!r}"
            raise DeliveryError(text, unsure=False) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryError(f"{self._server} refuses {', '.join(error.recipients)}", unsure=False) from error
        except (smtplib.SMTPException, OSError) as error:
            text = f"{self._server}:{self._port} did not take the message ({type(error).__name__}: {error})"
            raise DeliveryError(text, unsure=handed) from error
        if refused and len(refused) == len(self._to):
            raise DeliveryError(f"{self._server} refuses {', '.join(refused)}", unsure=False)

    def letter(self, message: Announcement, *, unsure: bool) -> EmailMessage:
        """Return the message as it is sent."""
        letter = EmailMessage()
        letter["Subject"] = f"[retrigger {message.severity}] {' '.join(message.title.split())}"[:180]
        letter["From"] = self._sender
        letter["To"] = ", ".join(self._to)
        letter["Date"] = format_datetime(message.at)
        letter["Message-ID"] = f"<{message.key}@retrigger>"
        letter.set_content(message.text + (f"\n\n{MAYBE_TWICE}" if unsure else "") + "\n")
        return letter
