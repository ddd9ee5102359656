"""Where the report of each fill is kept, and that it is still the one that was made.

One HTML file an edition, named by the fill and by the SHA-256 of its bytes; the record names the digest.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from daemon.errors import RefusedError, ReportError
from daemon.ledger import Ledger
from daemon.lifecycle import FillReported, FillReportFailed
from daemon.output import flush_folder, kept

SUBJECT = "reports"


@dataclass(frozen=True)
class Listed:
    """One fill in the list of reports.

    Attributes:
        fill: LHC fill number.
        at: When its newest edition was made, or failed last.
        report: The newest edition, None when there is none.
        failures: How often making it failed since the last edition.
        reason: Why it failed last, empty when it did not.
    """

    fill: int
    at: datetime
    report: FillReported | None
    failures: int = 0
    reason: str = ""


def listed(ledger: Ledger, stream: str) -> list[Listed]:
    """Return every fill with a report or a failed one, newest first."""
    found: dict[int, Listed] = {}
    for stored in ledger.facts(subject=SUBJECT):
        fact = stored.fact
        if isinstance(fact, FillReported) and fact.stream == stream:
            found[fact.fill] = Listed(fact.fill, fact.at, fact)
        if isinstance(fact, FillReportFailed) and fact.stream == stream:
            before = found.get(fact.fill)
            report, failures = (None, 0) if before is None else (before.report, before.failures)
            found[fact.fill] = Listed(fact.fill, fact.at, report, failures + 1, fact.reason)
    return [found[fill] for fill in sorted(found, reverse=True)]


def place(folder: Path, fill: int, sha256: str) -> Path:
    """Return where an edition lies."""
    return folder / f"fill-{fill}-{sha256[:12]}.html"


def put(folder: Path, fill: int, made: Path) -> str:
    """Move a report that was made to its place and return its digest; the move lasts through a loss of power."""
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    made.replace(place(folder, fill, sha256))
    flush_folder(folder)
    return sha256


def read(ledger: Ledger, folder: Path, stream: str, fill: int) -> tuple[FillReported, bytes]:
    """Return the newest report of a fill: its fact and its HTML.

    Raises:
        RefusedError: None was made.
        ReportError: It is gone, or was altered.
    """
    one = next((one for one in listed(ledger, stream) if one.fill == fill), None)
    if one is None or one.report is None:
        why = f"making it failed {one.failures} times: {one.reason}" if one is not None else "none was made yet"
        raise RefusedError(f"there is no report of fill {fill}, {why}; `retrigger report` lists those there are")
    sha256 = one.report.report_sha256
    path = place(folder, fill, sha256)
    return one.report, kept(path, sha256, f"the report of fill {fill}", ReportError)
