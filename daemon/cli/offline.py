"""Verbs that need no daemon: a new folder, a configuration, simulated fills, a reference."""

import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.errors import SetupError
from daemon.output import folder_writable, named, writing

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def _typed(context: typer.Context, value: Path) -> Path:
    """Return the configuration; one that was typed by its usual name, whole, so that it is no mere default."""
    source = context.get_parameter_source("config_file")
    typed = source is not None and source.name == "COMMANDLINE"
    return value.absolute() if typed and value == Path("retrigger.toml") else value


ConfigFile = Annotated[Path, typer.Option("--config", callback=_typed, help="The configuration file (TOML).")]
RunFiles = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Run files, or folders of them.")]
ReferenceFile = Annotated[Path, typer.Option(help="A reference made by `retrigger reference fit`.")]
ConditionsFolder = Annotated[Path | None, typer.Option(help="Conditions folder, when it is not the configured one.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")], *, json: Json = False
) -> None:
    """Write a commented configuration and an empty ledger."""
    from daemon.ledger import Ledger  # noqa: PLC0415 the database is loaded by the verbs that need it

    path = folder / "retrigger.toml"
    if path.exists():
        raise SetupError(f"{path} is already there; choose another folder, or edit that file")
    with writing(path, "the configuration") as sink:
        sink.write(resources.files("daemon").joinpath("template.toml").read_bytes())
    try:
        settings = config.load(path)
        places = (settings.state, settings.conditions.folder, settings.source.quarantine, settings.deploy.folder)
        for needed in (*places, Path(settings.source.url)):
            with named(needed, "a folder of the configuration"):
                needed.mkdir(parents=True, exist_ok=True)
        Ledger.open(settings.ledger.url).close()
    except BaseException:
        path.unlink(missing_ok=True)  # so that init may be tried again
        raise
    if json:
        say.machine({"type": "initialised", "config": str(path), "ledger": settings.ledger.url})
        return
    say.words(f"Wrote {path} and an empty ledger.  Next:")
    fills, asked = folder / "reference-fills", f"--config {path} --conditions {folder}/reference-fills/conditions"
    say.words(
        f"  retrigger simulate --scenario none --fills 6 --lumisections 60 --seed 1 {fills}   (or bring your own)"
    )
    say.words(f"  retrigger reference fit {asked} --output {settings.drift.reference} {fills}/incoming")
    say.words(f"  retrigger bootstrap {asked} {fills}/incoming")
    say.words(f"  retrigger import-champion --config {path} {settings.state}/bundles/DIGEST")
    say.words(f"  retrigger people add NAME --role ml_expert --config {path}   (and a trigger_oncall)")
    say.words(f"  retrigger run --config {path}")


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(help="The configuration file.")], *, json: Json = False) -> None:
    """Name every problem of a configuration file at once; the files that it names are for `doctor` to open."""
    from daemon.assemble import utc_now  # noqa: PLC0415 as below
    from daemon.config_names import unknown  # noqa: PLC0415 failure modes are loaded by the verbs that name them
    from daemon.training_settings import over  # noqa: PLC0415 as above

    problems, settings = config.check(file)
    if settings is not None:
        problems += [*config.unready(settings), *unknown(settings), *over(settings.worth, utc_now())]
    if json:
        say.machine({"type": "config", "file": str(file), "problems": problems, "files_opened": False})
    elif problems:
        say.words(f"{file}: {len(problems)} problem(s)")
        for problem in problems:
            say.words(f"  {problem}")
    else:
        say.words(
            f"{file}: no problem in the file itself; whether the references and folders that it names can be read, "
            f"`retrigger doctor --config {file}` says"
        )
    if problems:
        raise typer.Exit(say.BAD_VERDICT)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the fills, their conditions and the truth go.")],
    *,
    scenario: Annotated[
        str, typer.Option(help="none, pu_step, hem1516, ecal_transparency:f=0.05, … (comma-separated)")
    ] = "none",
    fills: Annotated[int, typer.Option(min=1)] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    lumisections: Annotated[
        int | None, typer.Option(min=4, help="Lumisections a fill; left out: hours, as at the LHC.")
    ] = None,
    events: Annotated[int, typer.Option(min=1, help="Zero-bias events a lumisection.")] = 300,
    block: Annotated[int, typer.Option(min=1, help="Lumisections a file.")] = 10,
    storage: Annotated[Literal["ttree", "rntuple"], typer.Option(help="TTree, or RNTuple.")] = "ttree",
    first_fill: Annotated[int, typer.Option(min=1)] = 9500,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take an earlier simulation in OUT away first.")
    ] = False,
    json: Json = False,
) -> None:
    """Write fills as a detector would deliver them, with conditions and, apart, the truth."""
    from drift.simulate import simulate as write_fills  # noqa: PLC0415 numba is paid for by this verb alone

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    folder_writable(out, "simulated fills")
    showing = Progress(*columns, disable=json or not sys.stderr.isatty(), transient=True)
    with showing as bar, named(out, "simulated fills"):
        task = bar.add_task("simulating", total=None)
        stream = write_fills(
            scenario,
            fills,
            seed,
            out,
            lumisections_per_fill=lumisections,
            events_per_lumisection=events,
            lumisections_per_file=block,
            storage=storage,
            first_fill=first_fill,
            progress=lambda done, total, text: bar.update(task, completed=done, total=total, description=text),
            workers=workers,
            overwrite=overwrite,
        )
    if json:
        say.machine(
            {
                "type": "simulated",
                "files": [str(path) for path in stream.files],
                "conditions": str(stream.conditions),
                "truth": str(stream.truth),
            }
        )
    else:
        say.words(
            f"Wrote {len(stream.files)} files of {fills} fill(s); conditions in {stream.conditions}, "
            f"truth in {stream.truth}."
        )


reference_app = typer.Typer(help="The reference that lumisections are compared with.", no_args_is_help=True)
app.add_typer(reference_app, name="reference")


@reference_app.command("fit")
def reference_fit(
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    output: Annotated[Path, typer.Option("--output", help="Where the reference is written.")],
    bundle: Annotated[
        Path | None, typer.Option(metavar="BUNDLE", help="Bundle folder: its model's scores are part of the reference.")
    ] = None,
    conditions: ConditionsFolder = None,
    strata: Annotated[
        str | None,
        typer.Option(help="Columns that tell strata apart: prescale_column, filling_scheme; else drift.strata."),
    ] = None,
    json: Json = False,
) -> None:
    """Fit the expectation given pileup from certified lumisections."""
    from daemon import scan as scanning  # noqa: PLC0415 each verb pays for its own libraries

    settings = config.load(config_file)
    columns = None if strata is None else tuple(part.strip() for part in strata.split(",") if part.strip())
    report = scanning.fit_reference(paths, settings, output, conditions=conditions, bundle=bundle, strata=columns)
    if json:
        say.machine({"type": "reference", **report})
        return
    say.words(
        f"Fitted {output} (digest {str(report['digest'])[:12]}) from {report['lumisections']} certified lumisections "
        f"of {report['fills']} fills, pileup {report['pileup_low']:.1f} to {report['pileup_high']:.1f}, with "
        f"{report['failure_modes']} failure modes."
    )
    if report["strata"]:
        say.words(f"  strata: {', '.join(report['strata'])}")
    for advice in report["advice"]:
        say.words(f"  note: {advice}")


@reference_app.command("rebaseline")
def reference_rebaseline(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="The reference in force; it stays as it is.")],
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    change: Annotated[str, typer.Option(metavar="ID", help="A change declared in the conditions folder.")],
    output: Annotated[Path, typer.Option("--output", help="Where the new reference is written.")],
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="Of the model whose scores the reference has, when it has any."),
    ] = None,
    conditions: ConditionsFolder = None,
    json: Json = False,
) -> None:
    """Fit constants of its own for the interval of a declared change; all else stays bit for bit."""
    from daemon.rebaselining import rebaseline_reference  # noqa: PLC0415 each verb pays for its own libraries

    settings = config.load(config_file)
    report = rebaseline_reference(
        paths, settings, reference, output, change=change, conditions=conditions, bundle=bundle
    )
    if json:
        say.machine({"type": "rebaselined", **report})
        return
    say.words(
        f"Wrote {output} (digest {str(report['digest'])[:12]}, parent {str(report['parent'])[:12]}): "
        f"{', '.join(report['objects'])} inside {change} from {report['lumisections']} certified lumisections of "
        f"{report['fills']} fills."
    )


@reference_app.command("sensitivity")
def reference_sensitivity(
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    reference: ReferenceFile,
    conditions: ConditionsFolder = None,
    pileup: Annotated[
        float | None, typer.Option(help="At which pileup; left out: the middle of the reference.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which events a partial fault hits.")] = 1,
    json: Json = False,
) -> None:
    """Say how small each failure mode may be and still be seen after 1, 10 and 100 lumisections."""
    from daemon import sensing  # noqa: PLC0415 each verb pays for its own libraries

    settings = config.load(config_file)
    mean, events, found = sensing.sense(paths, settings, reference, conditions=conditions, pileup=pileup, seed=seed)
    if json:
        for one in found:
            say.machine({**one.to_json(), "pileup": mean, "events": events})
        return
    say.words(f"Faults replayed on {events} certified events at pileup {mean:.1f}; least size seen after lumisections:")
    say.words(f"  {'':54s} {'1':>9s} {'10':>9s} {'100':>9s}   seen by")
    for one in found:
        sizes = " ".join(f"{'not seen' if size is None else f'{size:.3g}':>9s}" for size in one.least.values())
        say.words(f"  {one.words:54s} {sizes}   {one.leads or '-'}")


@app.command()
def bootstrap(
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    conditions: ConditionsFolder = None,
    json: Json = False,
) -> None:
    """Train and prove a first champion from certified reference fills."""
    from daemon import bootstrap as first  # noqa: PLC0415 the job's libraries are paid for by this verb alone
    from daemon.executors import runner_of  # noqa: PLC0415 the same
    from daemon.training import JobState  # noqa: PLC0415 the same

    settings = config.load(config_file)
    folder, _ = first.first_job(paths, settings, conditions=conditions)
    told = ""

    def tell(state: JobState) -> None:
        nonlocal told
        if state.stage != told and not json:
            told = state.stage
            say.words(f"  {state.stage}: {state.text}" if state.text else f"  {state.stage}")

    runner = runner_of(settings)
    try:
        result = first.finish(runner, folder, tell)
    finally:
        runner.stop()
    if json:
        say.machine({"type": "champion", **result})
    else:
        say.words(f"Proven: {result['bundle']}.  Adopt it with: retrigger import-champion {result['bundle']}")


__all__ = [
    "bootstrap",
    "check_config",
    "init",
    "reference_fit",
    "reference_rebaseline",
    "reference_sensitivity",
    "simulate",
]
