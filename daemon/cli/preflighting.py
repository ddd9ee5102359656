"""What is said before anything is trained: whether a contract fits the data, and which signals will be asked for."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json, RunFiles

SHOWN = 4  # fields with one reason before the rest is counted


@app.command()
def preflight(
    subject: Annotated[
        Path, typer.Argument(metavar="SUBJECT", help="A bundle folder, a contract.json, or a file of released scales.")
    ],
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    version: Annotated[str | None, typer.Option(help="Which version of a scales file, e.g. v6.0.0.")] = None,
    padding: Annotated[
        Literal["excluded", "included"] | None,
        typer.Option(help="Whether absent objects count in the scales, when the file does not say."),
    ] = None,
    json: Json = False,
) -> None:
    """Hold offsets, shifts and firmware sources against recent data; exit 1 when anything is refused."""
    from daemon.preflight import preflight as check  # noqa: PLC0415 each verb pays for its own libraries

    report = check(subject, paths, config.load(config_file), version=version, padding=padding)
    if json:
        say.machine({"type": "preflight", **report})
    else:
        _tell(report)
    if report["verdict"] != "pass":
        raise typer.Exit(say.BAD_VERDICT)


@app.command()
def signal(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the sample, e.g. TTbar.")],
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    pileup: Annotated[float | None, typer.Option(min=0.0, help="Mean collisions a crossing of these events.")] = None,
    json: Json = False,
) -> None:
    """Keep a simulated signal; every candidate must pass it as often as its champion does."""
    from daemon.signal_samples import keep  # noqa: PLC0415 each verb pays for its own libraries

    report = keep(name, paths, config.load(config_file), pileup=pileup)
    if json:
        say.machine({"type": "signal", **report})
    elif report["new"]:
        say.words(f"Kept {report['events']} events of {name}; candidates asked for from now on are judged on them.")
    else:
        say.words(f"These {report['events']} events are kept already; nothing changed.")


def _tell(report: Mapping[str, Any]) -> None:
    found: Sequence[Mapping[str, str]] = report["findings"]
    basis = f"{report['events']} events of {report['lumisections']} lumisections"
    if found:
        title = f"{report['subject']}: refused, {len(found)} findings on {basis}"
        say.table(title, ("field", "found", "expected", "evidence"), _rows(found))
    else:
        say.words(f"{report['subject']}: nothing against it on {basis}.")
    for remark in report["remarks"]:
        say.words(f"  note: {remark}")


def _rows(found: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield one row a reason: what fails alike in many fields stands once, with the first few named."""
    alike: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for one in found:
        alike.setdefault((one["expected"], one["evidence"]), []).append(one)
    for (expected, evidence), group in alike.items():
        names, values = ([one[key] for one in group[:SHOWN]] for key in ("field", "found"))
        more = f" and {len(group) - SHOWN} more" if len(group) > SHOWN else ""
        yield ", ".join(names) + more, ", ".join(values), expected, evidence


__all__ = ["preflight", "signal"]
