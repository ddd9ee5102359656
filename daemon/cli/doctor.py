"""The verb `doctor`: what is missing, or cannot be read, on this machine or in this setup.

Everything that the daemon will read is opened here as the daemon opens it; that a file exists says little.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from daemon import config
from daemon.assemble import Parts, parts, utc_now
from daemon.cli import say
from daemon.cli.app import app
from daemon.cli.offline import ConfigFile, Json
from daemon.config import Settings
from daemon.errors import RetriggerError
from daemon.input_faults import fault_words
from daemon.shelf import champion_digest
from daemon.training_settings import over
from drift.errors import DriftError

Finding = tuple[str, bool, str]
"""What was looked at, whether it is good, and what was seen."""
TOOLS = (("g++", "builds the C++ emulation that candidates are proven with"),)


@app.command()
def doctor(*, config_file: ConfigFile = Path("retrigger.toml"), json: Json = False) -> None:
    """Name what is missing or unreadable on this machine or in this setup; exit 1 when something is."""
    findings: list[Finding] = [
        ("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]}; needs 3.11 or newer")
    ]
    findings += [(tool, shutil.which(tool) is not None, purpose) for tool, purpose in TOOLS]
    problems, settings = config.check(config_file)
    findings.append(("configuration", settings is not None, "; ".join(problems) or str(config_file)))
    if settings is not None:
        findings += [("worth of a retrain", False, past) for past in over(settings.worth, utc_now())]
        findings += _read_findings(settings)
        with parts(settings) as ready:
            findings += _setup_findings(ready)
    if json:
        say.machine({"type": "doctor", "findings": [{"what": a, "good": b, "detail": c} for a, b, c in findings]})
    else:
        for what, good, detail in findings:
            say.words(f"{'good   ' if good else 'TO MEND'} {what}: {detail}")
    if not all(good for _, good, _ in findings):
        raise typer.Exit(say.BAD_VERDICT)


def _read_findings(settings: Settings) -> list[Finding]:
    """Open what the daemon compares with and listens to."""
    looks: list[tuple[str, Callable[[Settings], str]]] = [("reference", _reference), ("conditions", _conditions)]
    if settings.drift.rate_reference is not None:
        looks += [("rate reference", _rate_reference), ("counters", _counters)]
    found = []
    for what, look in looks:
        try:
            found.append((what, True, look(settings)))
        except (RetriggerError, DriftError, OSError) as error:
            found.append((what, False, str(error)))
    return found


def _reference(settings: Settings) -> str:
    from daemon.reconcile import reference_of  # noqa: PLC0415 the loop's libraries are paid for by this verb alone

    found = reference_of(settings)
    return (
        f"{settings.drift.reference}, digest {found.digest[:12]}, {len(found.fills)} fills, "
        f"pileup {found.pileup_low:.1f} to {found.pileup_high:.1f}"
    )


def _rate_reference(settings: Settings) -> str:
    from daemon.reconcile import rate_reference_of  # noqa: PLC0415 as above

    found = rate_reference_of(settings)
    assert found is not None
    span = (min(one.pileup_low for one in found.models), max(one.pileup_high for one in found.models))
    return (
        f"{settings.drift.rate_reference}, digest {found.digest[:12]}, {found.fills} fills, {len(found.models)} seeds, "
        f"pileup {span[0]:.1f} to {span[1]:.1f}"
    )


def _conditions(settings: Settings) -> str:
    from drift.conditions import ConditionsTable  # noqa: PLC0415 as above
    from drift.errors import ConditionsError  # noqa: PLC0415 as above

    folder = settings.conditions.folder
    found = ConditionsTable.load(folder)
    if found.faults:
        raise ConditionsError(fault_words(len(found.faults), found.faults[-1]))
    return f"{folder}, {len(found.runs())} run(s), {len(found.declared)} declared change(s)"


def _counters(settings: Settings) -> str:
    from drift.counter_folder import CounterFolder  # noqa: PLC0415 as above
    from drift.errors import CountersError  # noqa: PLC0415 as above

    folder = settings.conditions.counters
    found = CounterFolder.load([folder])
    if found.faults:
        raise CountersError(fault_words(len(found.faults), found.faults[-1]))
    return f"{folder}, {len(found.files)} file(s) of seed counters"


def _setup_findings(ready: Parts) -> list[Finding]:
    settings = ready.settings
    held = {role for roles in ready.people.roles().values() for role in roles}
    needed = set(ready.policy.tiers["T1"].roles) if "T1" in ready.policy.tiers else set()
    free_gib = shutil.disk_usage(settings.state if settings.state.exists() else Path.cwd()).free / 2**30
    slot = settings.stream.slot
    return [
        ("beam mode", ready.beam.now(utc_now()) is not None, "beam_mode.jsonl, fresh; without it nothing is deployed"),
        (
            "champion",
            bool(champion_digest(ready.ledger, slot)),
            f"of {slot}; adopt one with `retrigger import-champion`",
        ),
        ("people", needed <= held, f"somebody for each of {', '.join(sorted(needed))}; `retrigger people add`"),
        ("disk", free_gib > 2.0, f"{free_gib:.0f} GiB free; wants 2"),
        ("record", not ready.ledger.verify(), "the hash chain holds"),
    ]
