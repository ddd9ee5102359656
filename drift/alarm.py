"""What a watch says: a decision for every lumisection, and the alarm that people on shift are told.

Words and forms only; `drift.watch` decides.
"""

from dataclasses import dataclass
from typing import Any

from drift.boxes import Box
from drift.detect import Contributor
from drift.explain import Explanation
from drift.ladder import Rung
from drift.likelihood import Weighed


@dataclass(frozen=True)
class Alarm:
    """What the people on shift are told, once per cause.

    Attributes:
        stream: Name of the watched stream.
        run: Run of the lumisection at which it is told.
        lumisection: That lumisection.
        onset: Run and lumisection at which the cause is thought to have begun.
        verdict: ``broken_detector``, ``real_shift``, ``transient``, ``contract`` or ``expected_change``.
        cause: The verdict, but a real shift is ``ageing_or_calibration`` or ``new_conditions``.
        object: Object type or seed that shows it most.
        modes: Failure modes that explain it best, the likeliest first; empty under a reference without a library.
        log_evidence: Natural log of the evidence when it was told.
        contributors: The strongest parts of it.
        box: Region, when there is one.
        rung: The first step of the ladder that can suffice.
        action: What to do.
        text: One sentence an expert would write.
        against: What speaks against the verdict.
        explanation: What was seen, to be drawn; no part of the public form.  None when it could not be made.
    """

    stream: str
    run: int
    lumisection: int
    onset: tuple[int, int]
    verdict: str
    cause: str
    object: str
    modes: tuple[Weighed, ...]
    log_evidence: float
    contributors: tuple[Contributor, ...]
    box: Box | None
    rung: Rung
    action: str
    text: str
    against: str
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the public form of an alarm, one object a line of ``retrigger scan --json``."""
        named = []
        for one in self.contributors:
            key = "region" if one.kind in {"cell", "phi", "eta"} else "feature"
            boxed = one.kind == "cell" and self.box is not None and self.box.object == one.object
            name = self.box.words() if boxed and self.box is not None else one.name
            named.append({key: name, "object": one.object, "log_evidence": round(one.log_evidence, 2)})
        return {
            "type": "alarm",
            "stream": self.stream,
            "run": self.run,
            "lumisection": self.lumisection,
            "onset": {"run": self.onset[0], "lumisection": self.onset[1]},
            "verdict": self.verdict,
            "cause": self.cause,
            "object": self.object,
            "modes": [one.to_json() for one in self.modes],
            "log_evidence": round(self.log_evidence, 2),
            "contributors": named,
            "rung": self.rung.word,
            "action": self.action,
            "box": self.box.to_json() if self.box is not None else None,
            "text": self.text,
            "against": self.against,
        }


@dataclass(frozen=True)
class Decision:
    """What one lumisection amounts to.

    Attributes:
        state: ``quiet``, ``warn``, ``alarm``, ``out_of_support``, ``data_gap``, ``excluded``, or ``contract`` when
            input columns break their promises behind an alarm that was told before.
        reason: Why, in words; empty when quiet.
        log_evidence: Natural log of the evidence after it.
        alarm: The alarm, at the one lumisection at which it is told.
        note: Why the score's streams fell silent, or that they speak again, at the one lumisection at which they do.
    """

    state: str
    reason: str
    log_evidence: float
    alarm: Alarm | None = None
    note: str = ""
