"""The verb `menu lint`: can each model be switched off, and does the menu cut where the bundle says."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import Json
from daemon.errors import RefusedError
from daemon.lifecycle.codec import plain
from daemon.menu import (
    DEFAULT_MODELS,
    Finding,
    PrescaleTable,
    Rules,
    changed_columns,
    check_table,
    check_thresholds,
    parse_table,
    parse_thresholds,
)
from daemon.menu.rules import EXCEPTIONS

menu_app = typer.Typer(help="Prescale tables of the trigger menu.", no_args_is_help=True)
app.add_typer(menu_app, name="menu")


@menu_app.command("lint")
def lint(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="Prescale tables (CSV), oldest first.")],
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="NAME=PATTERN,…: a model as its No… columns call it, and its seeds; adds or replaces."
        ),
    ] = None,
    emergency: Annotated[
        list[str] | None, typer.Option("--emergency", help="A seed that may run in Emergency columns, instead of ours.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder whose threshold the last table must have.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Of the last table's menu: CSV with Name,Threshold.")] = None,
    seed: Annotated[str, typer.Option(help="The seed that is cut at the bundle's threshold.")] = "",
    json: Json = False,
) -> None:
    """Check that each No… column switches its model off, Emergency is empty, and nothing vanished; exit 1 if not."""
    rules = _rules(model or [], emergency)
    read: list[PrescaleTable] = []
    found: dict[str, list[Finding]] = {}
    for path in tables:
        table, problems = parse_table(path.read_bytes(), path.name)
        problems += check_table(table, rules)
        if read:
            problems += changed_columns(read[-1], table, rules)
        read.append(table)
        found[str(path)] = problems
    if bundle is not None:
        found[str(tables[-1])] += _against_bundle(read[-1], bundle, thresholds, seed, rules)
    elif thresholds is not None or seed:
        raise RefusedError("--thresholds and --seed are held against a bundle; name it with --bundle")
    failed = [name for name, problems in found.items() if any(one.severity == "error" for one in problems)]
    if json:
        for name, problems in found.items():
            say.machine(
                {
                    "type": "menu",
                    "table": name,
                    "good": name not in failed,
                    "findings": [plain(one) for one in problems],
                }
            )
    else:
        for name, problems in found.items():
            _words(name, problems, good=name not in failed)
    if failed:
        raise typer.Exit(say.BAD_VERDICT)


def _rules(models: list[str], emergency: list[str] | None) -> Rules:
    named = dict(DEFAULT_MODELS)
    for one in models:
        name, _, patterns = one.partition("=")
        listed = tuple(pattern.strip() for pattern in patterns.split(",") if pattern.strip())
        if not name.strip() or not listed:
            raise RefusedError(f"--model {one}: expected NAME=PATTERN, such as AXO=L1_AXO*")
        named[name.strip()] = listed
    return replace(Rules(), models=named, exceptions=EXCEPTIONS if emergency is None else tuple(emergency))


def _against_bundle(
    table: PrescaleTable, folder: Path, thresholds: Path | None, seed: str, rules: Rules
) -> list[Finding]:
    from retrain.champion import load  # noqa: PLC0415 each verb pays for its own libraries
    from retrain.fixed_point import FixedPoint  # noqa: PLC0415 as above

    if thresholds is None or not seed:
        raise RefusedError(
            "a prescale table holds no thresholds; give those of the menu with --thresholds (CSV: Name,Threshold), and "
            "with --seed the seed that is cut at the bundle's"
        )
    whole = load(folder)
    model = next((name for name in rules.models if rules.of_model(name, seed)), None)
    if model is None:
        raise RefusedError(f"{seed} is a seed of no model here; declare it with --model NAME=PATTERN")
    scale = 2 ** FixedPoint.parse(whole.contract.score).fraction
    said, problems = parse_thresholds(thresholds.read_bytes(), thresholds.name, scale)
    return [
        *problems,
        *check_thresholds(table, said, rules, model=model, seed=seed, threshold=whole.threshold),
    ]


def _words(name: str, problems: list[Finding], *, good: bool) -> None:
    say.words(f"{name}: {'holds' if good else 'FAILS'}")
    for one in sorted(problems, key=_order):
        where = f"line {one.line}: " if one.line else ""
        say.words(f"  {'ERROR' if one.severity == 'error' else 'note '} {one.rule}: {where}{one.text}")


def _order(one: Finding) -> Any:
    return one.severity != "error", one.line
