"""A real Prometheus on loopback that scrapes one address; used by tests and by the pictures of the documentation."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

AVAILABLE = shutil.which("prometheus") is not None
CONFIG = """
global: {{scrape_interval: {every}, evaluation_interval: {every}, scrape_timeout: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: retrigger
    static_configs: [{{targets: ["{target}"]}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """One running server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query: Any) -> Any:
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def now(self, expr: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expr)["data"]["result"]
        return found

    def over_time(self, expr: str, begin: float, end: float, step_s: float) -> list[dict[str, Any]]:
        answer = self.get("/api/v1/query_range", query=expr, start=begin, end=end, step=step_s)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus(folder: Path, target: str, *rules: Path, more: str = "", every: str = "1s") -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes `target` so often, until the context ends; `more` is added to its config."""
    files = ", ".join(json.dumps(str(one)) for one in rules)
    (folder / "prometheus.yml").write_text(CONFIG.format(target=target, rules=files, every=every) + more)
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=log,
            stderr=log,
        )
    server = Prometheus(port)
    try:
        _until_ready(server, child, folder)
        yield server
    finally:
        child.terminate()
        child.wait(20)


def _until_ready(server: Prometheus, child: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(300):
        assert child.poll() is None, (folder / "prometheus.log").read_text()
        try:
            with urllib.request.urlopen(f"{server.url}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("Prometheus was not ready within 30 s: " + (folder / "prometheus.log").read_text())


@contextmanager
def alertmanager(folder: Path, config: str) -> Iterator[str]:
    """Run an Alertmanager on this configuration until the context ends; gives its URL."""
    (folder / "alertmanager.yml").write_text(config)
    port = free_port()
    with (folder / "alertmanager.log").open("wb") as log:
        child = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert child.poll() is None, (folder / "alertmanager.log").read_text()
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield url
    finally:
        child.terminate()
        child.wait(20)


def filled_in(expr: str, interval_s: int, range_s: int) -> str:
    """Return a dashboard's expression with Grafana's variables as Grafana would fill them in."""
    values = {
        "$__rate_interval": f"{interval_s}s",
        "$__interval": f"{interval_s}s",
        "$__range": f"{range_s}s",
        "$stream": ".+",
        "$slot": ".+",
    }
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr
