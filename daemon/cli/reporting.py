"""The verb that lists the reports of fills and gives one out."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config, reports
from daemon.assemble import parts
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.lifecycle.codec import time_text
from daemon.output import writable, writing


@app.command()
def report(
    fill: Annotated[int | None, typer.Argument(metavar="FILL", help="An LHC fill; none lists all reports.")] = None,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report there (HTML).")] = None,
    json: Json = False,
) -> None:
    """List the reports of fills, or check and give out one; exit 1 when it is gone or was altered."""
    if output is not None:
        writable(output, "the report", pipes=True)
    with parts(config.load(config_file)) as ready:
        stream, folder = ready.settings.stream.name, ready.settings.reports
        if fill is None:
            found = reports.listed(ready.ledger, stream)
        else:
            fact, content = reports.read(ready.ledger, folder, stream, fill)
    if fill is None:
        _list(found, json=json)
        return
    if output is not None:
        with writing(output, "the report") as sink:
            sink.write(content)
    if json:
        told = {"fill": fact.fill, "verdict": fact.verdict, "words": fact.words, "sha256": fact.report_sha256}
        say.machine({"type": "report", **told, "lumisections": fact.lumisections, "at": time_text(fact.at)})
        return
    say.words(f"{fact.words}\n  {fact.lumisections} lumisections, sha256 {fact.report_sha256[:16]}")
    say.words(f"Wrote {output}." if output else f"The page shows it under /reports/{fill}; --output FILE writes it.")


def _list(found: list[reports.Listed], *, json: bool) -> None:
    if json:
        for one in found:
            made = one.report
            told = {"words": "" if made is None else made.words, "sha256": "" if made is None else made.report_sha256}
            kept = {"failures": one.failures, "reason": one.reason, "at": time_text(one.at)}
            say.machine({"type": "report", "fill": one.fill, **told, **kept})
        return
    if not found:
        say.words("No report yet.  One is made when a fill is over.")
        return
    rows = [[str(one.fill), "" if one.report is None else one.report.words, _trouble(one)] for one in found]
    say.table("reports", ["fill", "verdict", "trouble"], rows)


def _trouble(one: reports.Listed) -> str:
    return f"failed {one.failures} times: {one.reason}" if one.failures else ""


__all__ = ["report"]
