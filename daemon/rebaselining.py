"""Constants of its own for the interval of a declared change, from the run files inside it."""

from pathlib import Path
from typing import Any

from daemon import scan
from daemon.config import Settings
from daemon.errors import SetupError
from daemon.output import saving, writable
from daemon.scorer import summariser_for
from drift.rebaseline import rebaseline
from drift.reference import Reference
from drift.schema import schema_named


def rebaseline_reference(
    paths: list[Path],
    settings: Settings,
    reference: Path,
    output: Path,
    *,
    change: str,
    conditions: Path | None = None,
    bundle: Path | None = None,
) -> dict[str, Any]:
    """Fit and save a reference that knows the interval of one declared change; return what its constants rest on.

    Args:
        paths: Run files, or folders of them; lumisections outside the interval are passed over.
        settings: The configuration.
        reference: File of the reference in force; it stays as it is.
        output: Where the new one goes.
        change: The change's id in the conditions folder.
        conditions: Folder, when it is not the configured one.
        bundle: The bundle whose model's scores the reference has, when it has any; else they stay silent inside.

    Raises:
        ReferenceUnfitError: Too little lies inside the interval; the message says what is missing.
        SetupError: No such change is declared, the new file would overwrite the old, a file cannot be read, or the
            new one cannot be written.
    """
    if output.resolve() == reference.resolve():
        raise SetupError(f"{output} is the reference itself, which stays for every other interval; name another file")
    writable(output, "the reference")
    before = Reference.load(reference)
    schema = schema_named(settings.stream.schema_name)
    table = scan.conditions_for(settings, conditions)
    known = {one.id: one for one in table.declared}
    if change not in known:
        listed = ", ".join(sorted(known)) or "nothing"
        wrong = [fault for fault in table.faults if "declared" in fault]
        more = f"; not understood: {wrong[0]}" if wrong else ""
        raise SetupError(f"no change {change!r} is declared in the conditions folder; declared: {listed}{more}")
    summariser = summariser_for(schema, bundle)
    pairs = (
        (summariser.fill(events), at)
        for events, at in scan.each_lumisection(paths, settings, table)
        if known[change].holds((events.run, events.lumisection))
    )
    after = rebaseline(before, known[change], pairs)
    with saving(output, "the reference"):
        after.save(output)
    own = after.rebaselined[-1]
    return {
        "path": str(output),
        "digest": after.digest,
        "parent": after.parent,
        "change": own.id,
        "objects": list(own.objects),
        "lumisections": own.lumisections,
        "fills": len(own.fills),
    }
