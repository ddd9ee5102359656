"""What must hold in a prescale table so that a model can be switched off within one lumisection.

The fast way to switch a model off is a prescale column that has all of its seeds at 0.  Such columns are written by
hand, and one forgotten seed keeps the model in the trigger while everybody believes it is out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from daemon.menu.findings import Finding, Severity
from daemon.menu.table import PrescaleTable

DEFAULT_MODELS: Mapping[str, tuple[str, ...]] = {
    "AXO": ("L1_AXO*", "L1_AXOL1TL*"),
    "CICADA": ("L1_CICADA*",),
    "TOPO": ("L1_TOPO*",),
}
"""Models by the name that their `No…` columns use, each with patterns of its seeds; case does not matter."""
ALIASES: Mapping[str, str] = {"AXOL1TL": "AXO"}
EXCEPTIONS = ("L1_ZeroBias", "L1_ZeroBias_copy")
SWITCH = re.compile(r"(?:^|[_+\s-])No(?:_?L1_?)?([A-Z][A-Za-z0-9]*)")


@dataclass(frozen=True)
class Rules:
    """What a site declares.

    Attributes:
        models: Name of each model as its `No…` columns use it, with patterns of its seeds.
        exceptions: Seeds that may run in Emergency columns.
        aliases: Other names in `No…` columns, with the model they mean.
    """

    models: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DEFAULT_MODELS)
    exceptions: tuple[str, ...] = EXCEPTIONS
    aliases: Mapping[str, str] = field(default_factory=lambda: ALIASES)

    def of_model(self, model: str, seed: str) -> bool:
        """Return whether a seed belongs to a model."""
        return any(fnmatchcase(seed.lower(), pattern.lower()) for pattern in self.models[model])

    def switched_off(self, column: str) -> tuple[list[str], list[str]]:
        """Return which models a column's name says are off, and what else it says is off."""
        known = {name.lower(): name for name in self.models}
        known |= {alias.lower(): name for alias, name in self.aliases.items() if name in self.models}
        said = SWITCH.findall(column)
        return [known[one.lower()] for one in said if one.lower() in known], [
            one for one in said if one.lower() not in known
        ]


def check_table(table: PrescaleTable, rules: Rules) -> list[Finding]:
    """Return what a table breaks, errors and notes; the table must have been read without a problem to be trusted."""
    return [*_kill_switches(table, rules), *_emergency(table, rules), *_blanks(table)]


def is_emergency(column: str) -> bool:
    """Return whether a column is the one for emergencies."""
    return column.lower().startswith("emergency")


def _kill_switches(table: PrescaleTable, rules: Rules) -> Iterator[Finding]:
    switched: set[str] = set()
    for at, column in enumerate(table.columns):
        models, other = rules.switched_off(column)
        switched |= set(models)
        for model in models:
            on = [row.seed for row, value in table.column(at) if value != 0 and rules.of_model(model, row.seed)]
            if on:
                yield _finding(
                    table,
                    "kill_switch",
                    "error",
                    f"{column} is to switch {model} off and leaves {len(on)} of its seeds on: {', '.join(on)}; set "
                    "them to 0",
                    column,
                    on,
                )
        if other:
            names = ", ".join(other)
            yield _finding(
                table, "kill_switch", "note", f"{column}: {names} is no model declared here, not looked at", column
            )
    for model in rules.models:
        mine = [row for row in table.rows if rules.of_model(model, row.seed)]
        running = [row.seed for row in mine if any(row.cells)]
        if running and model not in switched:
            yield _finding(
                table,
                "kill_switch",
                "note",
                f"{model} runs ({len(running)} seeds) and no column No{model} switches it off alone",
                seeds=running,
            )


def _emergency(table: PrescaleTable, rules: Rules) -> Iterator[Finding]:
    columns = [(at, column) for at, column in enumerate(table.columns) if is_emergency(column)]
    if not columns:
        yield _finding(table, "emergency", "note", "has no Emergency column")
    for at, column in columns:
        on = [row.seed for row, value in table.column(at) if value and row.seed not in rules.exceptions]
        if on:
            yield _finding(
                table,
                "emergency",
                "error",
                f"{column} leaves {', '.join(on)} on; set them to 0, or declare them as exceptions",
                column,
                on,
            )


def _blanks(table: PrescaleTable) -> Iterator[Finding]:
    """An empty cell means off in Emergency columns alone; anywhere else nobody knows what it means."""
    for at, column in enumerate(table.columns):
        if not is_emergency(column):
            for row in table.rows:
                if row.blank[at]:
                    text = f"{row.seed} in {column}: the cell is empty; write 0 for off"
                    yield Finding(
                        rule="table",
                        severity="error",
                        table=table.name,
                        text=text,
                        line=row.line,
                        column=column,
                        seeds=(row.seed,),
                    )


def changed_columns(before: PrescaleTable, after: PrescaleTable, rules: Rules) -> list[Finding]:
    """Return which columns and which seeds of models vanished from one version to the next."""
    found = []
    gone = [column for column in before.columns if column not in after.columns]
    for column in gone:
        models = rules.switched_off(column)[0]
        lost = [model for model in models if not any(model in rules.switched_off(one)[0] for one in after.columns)]
        meaning = f"; nothing here switches {', '.join(lost)} off any more" if lost else ""
        found.append(
            _finding(after, "columns", "note", f"the column {column} of {before.name} vanished{meaning}", column)
        )
    kept = {row.seed for row in after.rows}
    for model in rules.models:
        seeds = [row.seed for row in before.rows if rules.of_model(model, row.seed) and row.seed not in kept]
        if seeds:
            text = f"seeds of {model} in {before.name} vanished: {', '.join(seeds)}"
            found.append(_finding(after, "columns", "note", text, seeds=seeds))
    return found


def _finding(
    table: PrescaleTable, rule: str, severity: Severity, text: str, column: str = "", seeds: Sequence[str] = ()
) -> Finding:
    return Finding(rule=rule, severity=severity, table=table.name, text=text, column=column, seeds=tuple(seeds))
