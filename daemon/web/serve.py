"""The page on a socket: uvicorn with the limits that a page for a few people needs."""

import threading

import uvicorn
from fastapi import FastAPI

from daemon.errors import ConfigurationError


class PageServer:
    """The page in a thread of its own, beside whatever else the process does."""

    def __init__(self, app: FastAPI, listen: str) -> None:
        """Take the application and ``host:port``; nothing listens before `start`."""
        host, _, port = listen.rpartition(":")
        self._listen = listen
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=host.strip("[]"),
                port=int(port),
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=64,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=3,
                ws="none",
                lifespan="off",
            )
        )
        self._thread = threading.Thread(target=self._server.run, name="page", daemon=True)

    def start(self, wait_s: float = 10.0) -> None:
        """Begin to answer; returns when it does.

        Raises:
            ConfigurationError: It cannot listen there.
        """
        self._thread.start()
        pause = threading.Event()
        for _ in range(int(wait_s / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            pause.wait(0.02)
        if not self._server.started:
            raise ConfigurationError(f"web.listen: cannot listen on {self._listen!r}; free the port or name another")

    @property
    def url(self) -> str:
        """Where it answers, for a person on this host."""
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Answer what was begun, then end."""
        self._server.should_exit = True
        self._thread.join(10)


def serve_page(app: FastAPI, listen: str) -> PageServer:
    """Give the page out on ``host:port`` from a thread; `stop()` of the result ends it.

    Raises:
        ConfigurationError: It cannot listen there.
    """
    server = PageServer(app, listen)
    server.start()
    return server
