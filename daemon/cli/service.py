"""Verbs of the daemon on its host: run it, serve its page, adopt a champion, see what waits for the board."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.assemble import log_to_stderr, parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.errors import ConfigurationError, RefusedError, UnfinishedError
from daemon.lifecycle import Phase
from daemon.lifecycle.candidate import IN_FLIGHT
from daemon.stories import story

Reason = Annotated[str, typer.Option("--reason", help="One sentence; it goes into the record.")]


@app.command()
def run(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    once: Annotated[
        bool, typer.Option("--once", help="Return when nothing is left to do: 0 all taken, 1 files wait, 2 it failed.")
    ] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Also start the approval page.")] = True,
    reports: Annotated[
        bool, typer.Option("--reports/--no-reports", help="Make the report of each fill that is over.")
    ] = True,
    json: Json = False,  # noqa: ARG001 every verb has it; the log of this one goes to standard error
) -> None:
    """Run the daemon until it is told to stop."""
    from daemon import reconcile  # noqa: PLC0415 the loop's libraries are paid for by this verb alone

    log_to_stderr()
    settings = config.load(config_file)
    if problems := config.unready(settings):
        raise ConfigurationError(f"{config_file}: {'; '.join(problems)}")
    with parts(settings) as ready, _page(config_file, wanted=page and bool(settings.web.listen) and not once):
        ending = reconcile.run(ready, until_idle=once, reports=reports)
    if once and ending.trouble:
        raise UnfinishedError(f"in trouble: {ending.trouble}")
    if once and ending.waiting:
        say.complaint(f"{ending.waiting} file(s) wait: {ending.reason}")
        raise typer.Exit(say.BAD_VERDICT)


@contextmanager
def _page(config_file: Path, *, wanted: bool) -> Iterator[None]:
    """Run the page beside the loop; its end is not ours, ours is its."""
    if not wanted:
        yield
        return
    child = subprocess.Popen([sys.executable, "-m", "daemon", "web", "--config", str(config_file), "--with-parent"])
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()


@app.command()
def web(
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    json: Json = False,  # noqa: ARG001 every verb has it; the log of this one goes to standard error
) -> None:
    """Serve the approval page alone."""
    from daemon.web.page import serve  # noqa: PLC0415 the web framework is paid for by this verb alone

    log_to_stderr()
    settings = config.load(config_file)
    with parts(settings) as ready:
        serve(ready, with_parent=with_parent)


@app.command()
def deploy(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Say what waits for deployment, and for what; the running daemon writes the board by itself."""
    with parts(config.load(config_file)) as ready:
        due = [one for one in ready.sight.candidates() if one.phase in IN_FLIGHT | {Phase.APPROVED}]
        stories = [story(ready.sight, ready.policy, one, utc_now()) for one in due]
    if json:
        say.machine({"type": "deployments", "candidates": stories})
        return
    if not stories:
        say.words("Nothing is approved and waiting.  `retrigger candidates` shows what is open.")
    for one in stories:
        say.words(f"{one['id']} ({one['phase']}): {one['next']}")


@app.command("import-champion")
def import_champion(
    bundle: Annotated[Path, typer.Argument(help="What the trigger runs now: a bundle folder, or an emulator .so.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    reason: Reason = "the model that ran before retrigger came",
    scales: Annotated[Path | None, typer.Option(help="Of a .so: JSON with its offsets and shifts.")] = None,
    scales_version: Annotated[str, typer.Option(help="Which version in that file.")] = "",
    threshold: Annotated[str, typer.Option(help="Of a .so: 3541, or with a point the score itself.")] = "",
    interface: Annotated[
        str, typer.Option(help="Of a .so: cmssw, cmssw-v4, score, or a JSON file with its C++ types.")
    ] = "cmssw",
    events: Annotated[list[Path] | None, typer.Option(help="Of a .so: run files to hold its scales against.")] = None,
    json: Json = False,
) -> None:
    """Adopt what runs now, so that there is a champion to watch, to compare with and to fall back to."""
    from daemon.importing import Handed, adopt, champion_from_library  # noqa: PLC0415 each verb pays for its own

    lacks: list[str] = []
    with parts(config.load(config_file)) as ready:
        if not bundle.is_dir():
            if scales is None or not threshold:
                raise RefusedError(f"{bundle} is no bundle folder; an emulator library needs --scales and --threshold")
            handed = Handed(scales, threshold, scales_version, interface, tuple(events or ()))
            made = champion_from_library(ready, bundle, handed)
            bundle, lacks = made.path, list(made.manifest["lacks"])
        fact = adopt(ready, bundle, reason, utc_now())
    if json:
        say.machine(
            {"type": "champion", "slot": fact.slot, "digest": fact.digest, "path": fact.bundle_path, "lacks": lacks}
        )
    else:
        say.words("\n".join([f"{fact.slot} runs {fact.digest}, by import.", *(f"  {one}" for one in lacks)]))
