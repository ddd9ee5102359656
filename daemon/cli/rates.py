"""The verbs that fit the rates which pileup makes expected, and compare hardware counters with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import reference_app

LUMISECTIONS_A_DAY = 86_400 / 23.3104


@app.command()
def rates(
    *,
    reference_counts: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Seed counts of healthy fills (CSV or OMS JSON); repeatable.")
    ],
    counts: Annotated[list[Path], typer.Option(metavar="FILE", help="Seed counts to compare; repeatable.")],
    conditions: Annotated[Path, typer.Option(metavar="DIR", help="Conditions folder.")],
    reference_conditions: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Conditions folder of the healthy fills, when it is another.")
    ] = None,
    days_between_false_alarms: Annotated[float, typer.Option(min=0.01, help="The budget of false alarms.")] = 30.0,
    budget: Annotated[
        float, typer.Option(min=1e-6, help="Relative deviation after which a model's lifetime is over.")
    ] = 0.10,
    least_counts: Annotated[int, typer.Option(min=1, help="Below it a rate is inconclusive.")] = 400,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Compare seed rates with pileup's prediction, and say when the drift budget is spent; exit 1 on an alarm."""
    from daemon.rates import watch_rates  # noqa: PLC0415 each verb pays for its own libraries

    seeds: list[Mapping[str, Any]] = []
    bad = False
    for line in watch_rates(
        reference_counts,
        counts,
        conditions,
        reference_conditions=reference_conditions,
        false_alarms_per_lumisection=1.0 / (days_between_false_alarms * LUMISECTIONS_A_DAY),
        budget=budget,
        least_counts=least_counts,
    ):
        bad = bad or line["type"] == "alarm"
        if json:
            say.machine(line)
        elif line["type"] == "seed":
            seeds.append(line)
        elif line["type"] == "alarm":
            say.words(f"ALARM at run {line['run']} lumisection {line['lumisection']}: {line['text']}")
        else:
            _report(seeds, line)
    if bad:
        raise typer.Exit(say.BAD_VERDICT)


@reference_app.command("rates")
def reference_rates(
    *,
    counts: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Seed counts of healthy fills (CSV or OMS JSON); repeatable.")
    ],
    conditions: Annotated[Path, typer.Option(metavar="DIR", help="Conditions folder of these fills.")],
    output: Annotated[Path, typer.Option("--output", help="Where the rate reference is written.")],
    least_counts: Annotated[int, typer.Option(min=1, help="Below it a rate is inconclusive.")] = 400,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Fit every seed's rate given pileup from certified lumisections, for scan and daemon."""
    from daemon.rates import fit_rates  # noqa: PLC0415 each verb pays for its own libraries
    from daemon.scan_tally import notes  # noqa: PLC0415 the same

    report = fit_rates(counts, conditions, output, least_counts=least_counts)
    if json:
        say.machine({"type": "rate_reference", **report})
        return
    say.words(
        f"Fitted {output} (digest {str(report['digest'])[:12]}): {len(report['seeds'])} seeds from "
        f"{report['lumisections']} certified lumisections of {report['fills']} fills."
    )
    for seed, why in report["inconclusive"].items():
        say.words(f"  {seed}: {why}")
    for note in notes("counters", report["faults"]):
        say.words(f"  note: {note}")


def _report(seeds: list[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
    from daemon.scan_tally import notes  # noqa: PLC0415 each verb pays for its own libraries

    for one in seeds:
        if not one["lumisections"]:
            say.words(f"{one['seed']}: {one['why'] or 'not watched: outside its pileups, or off'} ({one['reason']})")
            continue
        observed = f"{one['observed_hz']:.4g} Hz" if one["observed_hz"] is not None else one["answer"]
        off = f"{one['deviation']:+.1%}, " if one["deviation"] is not None else ""
        say.words(
            f"{one['seed']} ({one['model']}): {observed} of {one['predicted_hz']:.4g} Hz predicted, {off}mean "
            f"{one['sigma']:+.1f} and at most {one['sigma_most']:+.1f} sigma; log evidence {one['log_evidence']:.1f}; "
            f"budget {one['lifetime']['budget']:.0%}: {one['lifetime']['text']}"
        )
    states = ", ".join(f"{number} {state}" for state, number in sorted(summary["states"].items()))
    say.words(f"{summary['lumisections']} lumisections ({states}), {summary['alarms']} alarm(s)")
    for note in notes("counters", summary["faults"]):
        say.words(f"  note: {note}")


__all__ = ["rates", "reference_rates"]
