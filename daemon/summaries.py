"""Summaries on disk: one file a lumisection, and many added into one, exactly.

A summary that is there is whole (`daemon.output`); writing it again gives the same bytes.  Nothing here watches, joins
conditions or remembers.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon.config import Settings
from daemon.errors import SetupError
from daemon.output import folder_writable, writable, writing
from daemon.scan import reading, run_files
from daemon.scorer import summariser_for
from drift.errors import SummaryError
from drift.profile import LumisectionSummary
from drift.schema import schema_named

SUFFIX, UHI_SUFFIX = ".rtls", ".json"


def summarise(
    paths: list[Path], settings: Settings, output: Path, *, uhi: bool, bundle: Path | None = None
) -> dict[str, Any]:
    """Write one summary for each lumisection of these run files; return how many, and what could not be read.

    A lumisection that was delivered twice is counted once, as the daemon does.  With a bundle its model's scores are
    counted too.

    Raises:
        SetupError: There is no such run file, or a summary cannot be written.
    """
    folder_writable(output, "summaries")
    summariser = summariser_for(schema_named(settings.stream.schema_name), bundle)
    seen: set[tuple[int, int]] = set()
    counted = {"lumisections": 0, "events": 0, "bytes": 0, "duplicates": 0}
    files = run_files(paths)
    with reading(settings) as reader:
        for path in files:
            contents = reader.contents(path)
            for events in contents.lumisections if contents else ():
                place = (events.run, events.lumisection)
                if place in seen:
                    counted["duplicates"] += 1
                    continue
                seen.add(place)
                name = f"run{events.run}_ls{events.lumisection:04d}{UHI_SUFFIX if uhi else SUFFIX}"
                counted["bytes"] += write(summariser.fill(events), output / name, uhi=uhi)
                counted["lumisections"] += 1
                counted["events"] += events.events
        return {"output": str(output), **counted, "quarantined": reader.quarantined}


def merge(paths: Iterable[Path], output: Path, *, uhi: bool) -> dict[str, Any]:
    """Add summaries into one; their order does not matter.

    Raises:
        SetupError: There is none, one is not there, or the sum cannot be written.
        SummaryError: One is damaged or counted otherwise, or a lumisection is in two of them.
    """
    writable(output, "the summary", pipes=True)
    total: LumisectionSummary | None = None
    origin: dict[tuple[int, int], Path] = {}
    for path in summary_files(paths):
        one = read(path)
        for run, lumisection in one.lumisections:
            if (run, lumisection) in origin:
                raise SummaryError(
                    f"run {run} lumisection {lumisection} is in {origin[run, lumisection]} and in {path}; "
                    "give each lumisection once"
                )
            origin[run, lumisection] = path
        try:
            total = one if total is None else total + one
        except SummaryError as cause:
            raise SummaryError(f"{path}: {cause}") from cause
    assert total is not None
    size = write(total, output, uhi=uhi)
    return {"output": str(output), "lumisections": len(origin), "events": total.events, "bytes": size}


def summary_files(paths: Iterable[Path]) -> list[Path]:
    """Return every summary below these paths, in name order.

    Raises:
        SetupError: A path does not exist, or there is no summary at all.
    """
    given, found = list(paths), []
    for path in given:
        if not path.exists():
            raise SetupError(f"{path} does not exist; name summaries (*{SUFFIX}, *{UHI_SUFFIX}) or folders of them")
        inside = (one for one in path.rglob("*") if one.suffix in {SUFFIX, UHI_SUFFIX})
        found += sorted(inside) if path.is_dir() else [path]
    if not found:
        raise SetupError(f"no *{SUFFIX} or *{UHI_SUFFIX} file below {', '.join(map(str, given))}")
    return found


def read(path: Path) -> LumisectionSummary:
    """Return the summary in a file, packed or UHI JSON.

    Raises:
        SummaryError: It is damaged; the message names the file.
    """
    try:
        if path.suffix != UHI_SUFFIX:
            return LumisectionSummary.from_bytes(path.read_bytes())
        from drift import interchange  # noqa: PLC0415 boost-histogram is paid for by those who plot

        return LumisectionSummary.from_boost(interchange.from_json(path.read_text(encoding="utf-8")))
    except (SummaryError, UnicodeDecodeError) as cause:
        raise SummaryError(f"{path}: {cause}") from cause


def write(summary: LumisectionSummary, path: Path, *, uhi: bool) -> int:
    """Write a summary, packed or as UHI JSON; return its bytes.

    Raises:
        SetupError: The system refused.
    """
    if uhi:
        from drift import interchange  # noqa: PLC0415 the same

        content = interchange.to_json(summary.to_boost()).encode()
    else:
        content = summary.to_bytes()
    with writing(path, "the summary") as sink:
        sink.write(content)
    return len(content)
