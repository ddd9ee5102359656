"""What is known about one lumisection from outside its events, and what the machine is doing now."""

from dataclasses import dataclass
from datetime import datetime

from drift.conditions.declared import DeclaredChange

STABLE_BEAMS = "STABLE BEAMS"
DEAD_TIME_LIMIT = 0.20


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of one lumisection; None always means that nobody has said so yet.

    Attributes:
        run: Run number.
        lumisection: Lumisection number.
        fill: LHC fill number.
        pileup: Mean interactions per crossing.
        bunches: Colliding bunches.
        prescale_column: Name of the prescale column in force.
        beam_mode: LHC beam mode, such as ``STABLE BEAMS``.
        dcs_ok: Whether detector control had everything on.
        certified: Whether data certification lists it.
        dead_time: Fraction 0..1 of delivered luminosity not recorded.
        filling_scheme: Name of the pattern of bunches, OMS's injection scheme.
        declared: Declared changes in force.
        elsewhere: Declared changes that are not in force here: over, or yet to begin.
    """

    run: int
    lumisection: int
    fill: int | None = None
    pileup: float | None = None
    bunches: int | None = None
    prescale_column: str | None = None
    beam_mode: str | None = None
    dcs_ok: bool | None = None
    certified: bool | None = None
    dead_time: float | None = None
    filling_scheme: str | None = None
    declared: tuple[DeclaredChange, ...] = ()
    elsewhere: tuple[DeclaredChange, ...] = ()

    @property
    def obstacle(self) -> str:
        """Why the lumisection cannot be compared with a reference, for the record; empty when it can.

        Stable beams, detector control good and pileup known are all needed; dead time must not be known to reach 20 %.
        Simple tables publish no dead time, so an unknown one does not exclude.
        """
        if self.beam_mode != STABLE_BEAMS:
            return f"beam mode is {self.beam_mode or 'unknown'}"
        if self.dcs_ok is not True:
            return "detector control has a subsystem off" if self.dcs_ok is False else "detector control is silent"
        if self.pileup is None:
            return "pileup is unknown"
        if self.dead_time is not None and self.dead_time >= DEAD_TIME_LIMIT:
            return f"dead time is {self.dead_time:.0%}"
        return ""

    @property
    def usable(self) -> bool:
        """Whether the lumisection may be compared with a reference; `obstacle` says why not."""
        return not self.obstacle


@dataclass(frozen=True)
class Counts:
    """How well the conditions fitted together.

    Attributes:
        gaps: Lumisections missing between the first and last of a run.
        duplicates: Rows that said again what another row had said.
        conflicts: Lumisections on which two sources disagree; the cautious answer is used.
        late: Lumisections that arrived after a later one of the same run was known.
        malformed: Rows or files that could not be understood (see `ConditionsTable.faults`).
        unrecorded: Rows that brilcalc marks as not recorded (``ls:0``).
    """

    gaps: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    malformed: int = 0
    unrecorded: int = 0


@dataclass(frozen=True)
class BeamMode:
    """What the machine does.

    Attributes:
        fill: LHC fill number.
        mode: LHC beam mode, such as ``STABLE BEAMS`` or ``BEAM DUMP``.
        since: When the machine entered it.
    """

    fill: int
    mode: str
    since: datetime
