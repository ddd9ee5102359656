"""The verb that watches files once, without daemon or ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from daemon import config
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConditionsFolder, ConfigFile, Json, ReferenceFile, RunFiles
from daemon.errors import SetupError

REASONS_SHOWN = 5


@app.command()
def scan(
    paths: RunFiles,
    *,
    config_file: ConfigFile = Path("retrigger.toml"),
    reference: ReferenceFile,
    conditions: ConditionsFolder = None,
    detector: Annotated[
        Literal["retrigger", "adwin", "page_hinkley", "kswin"] | None,
        typer.Option(help="What listens, when it is not drift.detector; river's three give no verdict."),
    ] = None,
    second_opinion: Annotated[
        bool, typer.Option("--second-opinion", help="On alarm, also compare the events with earlier ones.")
    ] = False,
    bundle: Annotated[
        Path | None, typer.Option(metavar="BUNDLE", help="Bundle folder: watch the scores of its model too.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write why each alarm was raised there, as JSON and as a page.")
    ] = None,
    counts: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Seed counters to hear too, files or folders; repeatable.")
    ] = None,
    rate_reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of these, when it is not drift.rate_reference.")
    ] = None,
    json: Json = False,
) -> None:
    """Watch files once, without daemon or ledger; exit 1 on an alarm, an unread file, or nothing watched."""
    from daemon import scan as scanning  # noqa: PLC0415 each verb pays for its own libraries

    settings = config.load(config_file)
    bad = False
    lines = scanning.scan(
        paths,
        settings,
        reference,
        conditions=conditions,
        detector=detector,
        second_opinion=second_opinion,
        explain=explain,
        bundle=bundle,
        counts=counts,
        rate_reference=rate_reference,
    )
    for line in lines:
        bad = bad or line["type"] == "alarm" or bool(line.get("quarantined")) or line.get("watched") == 0
        if json:
            say.machine(line)
        else:
            _scan_words(line)
        if "explanation" in line:
            _picture(Path(line["explanation"]), json=json)
    if bad:
        raise typer.Exit(say.BAD_VERDICT)


def _picture(explanation: Path, *, json: bool) -> None:
    """Write the page of an explanation, after its alarm was told, which no full disk may prevent."""
    from daemon.web.explained_file import write_beside  # noqa: PLC0415 the page is paid for on an alarm

    try:
        text = f"why: {write_beside(explanation)}"
    except SetupError as error:
        text = str(error)
        if json:
            say.machine({"type": "note", "text": text})
    if not json:
        say.words(f"  {text}")


def _scan_words(line: Mapping[str, object]) -> None:
    if line["type"] == "alarm":
        onset = line["onset"]
        assert isinstance(onset, dict)
        evidence = line["log_evidence"]
        say.words(
            f"ALARM {line['verdict']} on {line['stream']} at run {line['run']} lumisection {line['lumisection']}, "
            f"since run {onset['run']} lumisection {onset['lumisection']}"
            + (f"; log evidence {evidence:.1f}" if evidence is not None else "")
        )
        say.words(f"  {line.get('text', '')}")
        modes = line.get("modes")
        if isinstance(modes, list) and modes:
            best = modes[0]
            say.words(f"  most like: {best['words']}, size {best['size']:g} ({best['probability']:.0%})")
        say.words(f"  to do: {line['action']}")
        if line.get("against"):
            say.words(f"  against it: {line['against']}")
        if "explanation_missing" in line:
            say.words(f"  {line['explanation_missing']}")
        if "second_opinion" in line:
            say.words(f"  second opinion: {_opinion_words(line['second_opinion'])}")
        return
    _summary_words(line)


def _summary_words(line: Mapping[str, Any]) -> None:
    """Say what was watched and found, what was not watched and why, and what else a person must know."""
    missed = line["not_watched"]
    if not line["watched"]:
        most = f"most often {_missed_words(missed[0])}" if missed else "no lumisection was read"
        say.words(f"nothing was watched; {most}")
    outside = {one: line[one] for one in ("excluded", "out_of_support", "data_gap")}
    inside = {state: number for state, number in line["states"].items() if state not in outside}
    among = f" ({_counted(inside)})" if inside else ""
    say.words(
        f"{line['watched']} of {line['lumisections']} lumisections watched{among}, {_counted(outside)}; "
        f"{line['alarms']} alarm(s), {line['events']} events in {line['seconds']:.1f} s"
    )
    for one in missed[:REASONS_SHOWN]:
        say.words(f"  not watched: {_missed_words(one)}")
    if len(missed) > REASONS_SHOWN:
        say.words(f"  not watched: for {len(missed) - REASONS_SHOWN} more reasons")
    if line.get("scores", "watched") != "watched":
        say.words(f"  scores {line['scores']}")
    if "counters" in line:
        say.words(f"  counters heard in {line['counters']['heard']} of {line['counters']['lumisections']} lumisections")
    for one in line["silenced"]:
        say.words(f"  {one['text']}")
    for note in line["notes"]:
        say.words(f"  note: {note}")
    for one in line["quarantined"]:
        say.words(f"  not read: {one['path']}: {one['reason']}")


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in states.items())


def _missed_words(one: Mapping[str, Any]) -> str:
    first = one["first"]
    return (
        f"{one['lumisections']} {one['state'].replace('_', ' ')}: {one['reason']} "
        f"(first {first['run']}:{first['lumisection']})"
    )


def _opinion_words(told: Any) -> str:
    """Say in one line what the events said of an alarm."""
    if "reason" in told:
        return f"none, {told['reason']}"
    counted = told["lumisections"]
    named = ", ".join(one["feature"] for one in told["separating"][:3])
    return (
        f"p = {told['p_value']:.3f}, area {told['auc']:.3f} ({told['auc_low']:.3f} to {told['auc_high']:.3f}), most in "
        f"{named}; {counted['after']} lumisections since the onset against {counted['before']} before"
    )


__all__ = ["scan"]
