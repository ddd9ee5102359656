"""The verb that says why an alarm was raised, from the explanation that the daemon kept with it."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from daemon import config, explanations
from daemon.assemble import parts
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.output import writable, writing


@app.command()
def explain(
    alarm: Annotated[str, typer.Argument(metavar="ALARM", help="Its name, as `retrigger alarms` lists it.")],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page with its pictures there (HTML).")
    ] = None,
    json: Json = False,
) -> None:
    """Say why an alarm was raised; exit 1 when its explanation is gone or was altered."""
    from daemon.web.explained_file import static_page  # noqa: PLC0415 the page is paid for by this verb alone

    if output is not None:
        writable(output, "the page", pipes=True)
    with parts(config.load(config_file)) as ready:
        raised = explanations.raised(ready.ledger, ready.settings.stream.name, alarm)
        told = explanations.read(ready.settings.explanations, alarm, raised.alarm)
    if output is not None:
        with writing(output, "the page") as sink:
            sink.write(static_page(told).encode())
    if json:
        say.machine({"id": alarm, **told})
        return
    _words(told)
    if output is not None:
        say.words(f"Wrote {output}.")


def _words(told: explanations.Told) -> None:
    from daemon.web import explained  # noqa: PLC0415 the page is paid for by this verb alone

    seen, todo, against = explained.lead(told)
    say.words(f"{seen}\n  to do: {todo}\n  against it: {against}")
    for term, said in explained.facts(told):
        say.words(f"  {term.lower()}: {said}")
    say.words("What moved most:")
    for one in explained.moved(told):
        say.words(f"  {one['log_evidence']:6.1f}  {one['words']}")
    say.words("What was ruled out:")
    for one in told["ruled_out"]:
        say.words(textwrap.fill(one["words"], 110, initial_indent="  - ", subsequent_indent="    "))


__all__ = ["explain"]
