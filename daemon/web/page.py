"""`retrigger web`: the page as a process of its own, told by signals when to end."""

import os
import signal
import threading
from types import FrameType

from daemon.assemble import Parts, places_of, utc_now
from daemon.config import WebSettings
from daemon.errors import ConfigurationError
from daemon.lifecycle.policy import ROLES
from daemon.notify import READY, STOPPING, WATCHDOG, notify, status, watchdog_period_s
from daemon.sign_on import SignOnRules
from daemon.web.app import create_app
from daemon.web.office import Proxy
from daemon.web.serve import serve_page

LOOK_AT_PARENT_S = 1.0


def serve(ready: Parts, *, with_parent: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, or, with `with_parent`, until the process that started this one is gone.

    Raises:
        ConfigurationError: It cannot listen where the configuration says.
    """
    stop, parent = threading.Event(), os.getppid()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    settings = ready.settings
    app = create_app(
        ready.ledger,
        ready.people,
        ready.sight,
        ready.policy,
        stream=settings.stream.name,
        slot=settings.stream.slot,
        public_url=settings.web.public_url,
        clock=utc_now,
        explanations=settings.explanations,
        sign_on_rules=_sign_on(settings.web),
        proxy=_proxy(settings.web),
        places=tuple(place.name for place in places_of(settings)),
    )
    app.state.reports = settings.reports
    server = serve_page(app, settings.web.listen)
    notify(READY, status(f"the page answers as {settings.web.public_url}"))
    period_s = min(watchdog_period_s() or LOOK_AT_PARENT_S, LOOK_AT_PARENT_S)
    while not stop.wait(period_s) and server.alive:
        if with_parent and os.getppid() != parent:
            break
        ready.ledger.head()  # a page that cannot read its record is no page: then the watchdog is not fed
        notify(WATCHDOG)
    notify(STOPPING)
    server.stop()


def _sign_on(web: WebSettings) -> SignOnRules | None:
    asked = web.sign_on
    if asked is None:
        return None
    unknown = sorted(set(asked.roles.values()) - set(ROLES))
    if unknown:
        raise ConfigurationError(
            f"web.sign_on.roles gives the unknown role {', '.join(unknown)}; choose from {', '.join(ROLES)}"
        )
    secret, file = "", asked.client_secret_file
    if file is not None:
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"web.sign_on.client_secret_file: {file} cannot be read: {error}") from error
    return SignOnRules(
        issuer=asked.issuer,
        client_id=asked.client_id,
        client_secret=secret,
        roles=asked.roles,
        groups_claim=asked.groups_claim,
        name_claim=asked.name_claim,
        all_accounts_from_issuer=asked.all_accounts_from_issuer,
    )


def _proxy(web: WebSettings) -> Proxy | None:
    return Proxy(web.proxy_header, frozenset(web.proxy_from)) if web.proxy_header else None
