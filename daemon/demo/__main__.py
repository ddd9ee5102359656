"""`make demo`: prepare, play, and leave the page and the metrics up when asked."""

import time
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import parts
from daemon.cli import say
from daemon.demo.play import Daemon, Play
from daemon.demo.stage import PASSWORDS, ROLES, Scale, prepare
from daemon.errors import RetriggerError

SHOWN = ("retrigger_lumisections_total", "retrigger_alarms_total", "retrigger_candidates", "retrigger_audit_head")


def demo(
    *,
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    serve: Annotated[bool, typer.Option("--serve", help="Leave the page and /metrics up at the end.")] = False,
    events: Annotated[int, typer.Option(help="Zero-bias events a lumisection.")] = 500,
    lumisections: Annotated[int, typer.Option(help="Lumisections a fill.")] = 50,
) -> None:
    """Run several simulated fills through the whole loop."""
    started = time.monotonic()
    try:
        path = prepare(folder, say.words, Scale(lumisections=lumisections, events=events))
        settings = config.load(path)
        daemon = Daemon(path, page=True)
        daemon.alive()
        try:
            with parts(settings) as ready:
                Play(ready, path, daemon, say.words).everything()
            say.words(f"\nMetrics at http://{settings.metrics.listen}/metrics, among them:")
            for line in _metrics(settings.metrics.listen):
                say.words(f"  {line}")
            say.words(f"\nDone in {time.monotonic() - started:.0f} s.  Log: {folder}/daemon.log")
            if serve:
                _serve(settings, daemon)
        finally:
            daemon.stop()
    except RetriggerError as error:
        say.complaint(str(error))
        raise typer.Exit(1) from error


def _metrics(listen: str) -> list[str]:
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return [line for line in lines if line.startswith(SHOWN) and not line.endswith(" 0.0")]


def _serve(settings: config.Settings, daemon: Daemon) -> None:
    say.words(f"The page: {settings.web.public_url}   (ends with Ctrl-C)")
    for name, role in ROLES.items():
        say.words(f"  log in as {name} ({role}), password: {PASSWORDS[name]}")
    try:
        while True:
            daemon.alive()
            time.sleep(1.0)
    except KeyboardInterrupt:
        say.words("stopping")


if __name__ == "__main__":
    typer.run(demo)
