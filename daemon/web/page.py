"""The page as a process of its own: it serves until it is told to stop, or until the daemon that started it is gone."""

import os
import signal
import threading

from daemon.assemble import Parts, utc_now
from daemon.web.app import create_app
from daemon.web.serve import serve_page


def serve(ready: Parts, *, with_parent: bool) -> None:
    """Serve the page on `web.listen`.

    Args:
        ready: The ledger and what belongs to it.
        with_parent: End when the process that started this one ends, however it ends.

    Raises:
        ConfigurationError: It cannot listen there.
    """
    settings = ready.settings
    page = create_app(
        ready.ledger,
        ready.people,
        ready.sight,
        ready.policy,
        stream=settings.stream.name,
        slot=settings.stream.slot,
        public_url=settings.web.public_url,
        clock=utc_now,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    server = serve_page(page, settings.web.listen)
    try:
        while not stop.wait(1.0):
            if with_parent and os.getppid() != parent:
                return
    finally:
        server.stop()
