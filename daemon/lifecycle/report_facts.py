"""What the daemon says about the reports it writes of fills.  Subject: ``reports``.  They move no candidate."""

from dataclasses import dataclass

from daemon.lifecycle.facts import Fact


@dataclass(frozen=True, kw_only=True)
class FillReported(Fact):
    """The report of a fill lies in the state folder, whole.

    Attributes:
        stream: Whose data.
        fill: LHC fill number.
        lumisections: Outcomes that it rests on; more that come later make another edition.
        report_sha256: Of the HTML file.
        verdict: ``quiet``, or the verdict of its leading alarm.
        words: The verdict line.
    """

    stream: str
    fill: int
    lumisections: int
    report_sha256: str
    verdict: str
    words: str


@dataclass(frozen=True, kw_only=True)
class FillReportFailed(Fact):
    """The report of a fill could not be made; it is tried again a few times.

    Attributes:
        stream: Whose data.
        fill: LHC fill number.
        lumisections: Outcomes that it would rest on.
        reason: What failed.
    """

    stream: str
    fill: int
    lumisections: int
    reason: str
