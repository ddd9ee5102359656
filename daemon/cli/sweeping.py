"""The verb that tries many recipes on the same data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConditionsFolder, ConfigFile, Json
from daemon.errors import SetupError


@app.command()
def sweep(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="TOML or JSON: base, grid, recipes.")],
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", help="Run files to learn from, or folders of them.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of rows, jobs and bundles; goes on where it was left.")],
    config_file: ConfigFile = Path("retrigger.toml"),
    conditions: ConditionsFolder = None,
    job: Annotated[
        Path | None, typer.Option(help="Instead of run files: job.json of a candidate, with its data and champion.")
    ] = None,
    failures: Annotated[int, typer.Option(min=1, help="A job that failed so often is given up.")] = 3,
    again: Annotated[bool, typer.Option("--again", help="Try once more what was given up.")] = False,
    json: Json = False,
) -> None:
    """Train and prove many recipes on the same data; one row says how each ended."""
    from daemon import sweep as sweeping  # noqa: PLC0415 each verb pays for its own libraries
    from daemon.assemble import utc_now  # noqa: PLC0415 the same
    from daemon.bootstrap import job_on  # noqa: PLC0415 the same
    from daemon.executors import runner_of  # noqa: PLC0415 the same
    from daemon.recipes import recipe_of  # noqa: PLC0415 the same
    from daemon.scan import keep_events  # noqa: PLC0415 the same
    from daemon.sweep_plan import read_plan  # noqa: PLC0415 the same
    from retrain.recipe import Recipe, ranges  # noqa: PLC0415 the same

    settings = config.load(config_file)
    if (job is None) == (not paths):
        raise SetupError("name what to learn from: run files, or --job with the job.json of a candidate; one of both")
    out = out.resolve()
    with sweeping.alone(out):
        if job is not None:
            described = sweeping.base_job(job)
            base = Recipe.from_json(described["recipe"])
        else:
            lessons = keep_events(paths or [], settings, conditions=conditions)
            base = recipe_of(settings, ranges((one["run"], one["lumisection"]) for one in lessons))
            described = job_on(lessons, base, settings)
        entries = read_plan(plan, base)
        forgiven = sweeping.forgive(out) if again else 0
        if not json:
            say.words(f"{len(entries)} recipes on {settings.executor.kind}, {settings.executor.workers} at once.")
        if forgiven and not json:
            say.words(f"{forgiven} that were given up are tried again.")
        runner = runner_of(settings)
        try:
            rows = sweeping.run(
                sweeping.Sweep(entries, described, out, failures),
                runner,
                width=settings.executor.workers,
                clock=utc_now,
                say=lambda row: _tell(row, json=json),
            )
        finally:
            runner.stop()
    counts = {
        verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("candidate", "refused", "given_up")
    }
    if json:
        say.machine({"type": "sweep", "recipes": len(rows), **counts, "rows": str(out / sweeping.ROWS)})
    else:
        _table(rows, out / sweeping.ROWS, counts)
    if counts["given_up"]:
        raise typer.Exit(say.BAD_VERDICT)


def _tell(row: dict[str, Any], *, json: bool) -> None:
    if json:
        say.machine({"type": "recipe", **row})
    else:
        changed = ", ".join(f"{name}={value}" for name, value in row["changes"].items()) or "the base"
        say.words(f"  {row['recipe'][:12]} {changed}: {row['verdict']} ({row['reason']})")


def _table(rows: list[dict[str, Any]], path: Path, counts: dict[str, int]) -> None:
    columns = ("recipe", "changes", "verdict", "LUT", "ticks", "rate, Hz", "seconds", "bundle")
    cells = [
        (
            row["recipe"][:12],
            ", ".join(f"{name}={value}" for name, value in row["changes"].items()),
            row["verdict"],
            row["resources"].get("lut"),
            row["resources"].get("latency_ticks"),
            f"{row['working_point']['rate_hz']:.4g}" if row["working_point"] else None,
            row["wall_s"],
            (row["digest"] or "")[:16],
        )
        for row in rows
    ]
    say.table(f"{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}; rows in {path}", columns, cells)
