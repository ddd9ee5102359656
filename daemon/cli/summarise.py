"""The verb that counts run files into summaries, or adds summaries into one."""

from pathlib import Path
from typing import Annotated

import typer

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json


@app.command()
def summarise(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Run files, or folders of them; with --merge, summaries.")
    ],
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    output: Annotated[Path, typer.Option(help="Folder of the summaries; with --merge, the one file.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Add summaries exactly instead of counting run files.")
    ] = False,
    bundle: Annotated[
        Path | None, typer.Option(metavar="BUNDLE", help="Bundle folder: also count the scores of its model.")
    ] = None,
    uhi: Annotated[bool, typer.Option("--uhi", help="Write UHI JSON for hist and mplhep instead of .rtls.")] = False,
    json: Json = False,
) -> None:
    """Count each lumisection into a small file that adds exactly; exit 1 when a run file could not be read."""
    from daemon import summaries  # noqa: PLC0415 each verb pays for its own libraries

    if merge:
        report = summaries.merge(paths, output, uhi=uhi)
        done = f"Added {report['lumisections']} lumisections"
    else:
        report = summaries.summarise(paths, config.load(config_file), output, uhi=uhi, bundle=bundle)
        done = f"Counted {report['lumisections']} lumisections"
    quarantined = report.get("quarantined", [])
    if json:
        say.machine({"type": "summaries", **report})
    else:
        say.words(f"{done}, {report['events']} events, into {output} ({report['bytes'] / 1000:.1f} kB).")
        if report.get("duplicates"):
            say.words(f"  {report['duplicates']} lumisections came again and were counted once")
        for one in quarantined:
            say.words(f"  not read: {one['path']}: {one['reason']}")
    if quarantined:
        raise typer.Exit(say.BAD_VERDICT)


__all__ = ["summarise"]
