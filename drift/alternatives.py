"""River's ADWIN, Page-Hinkley and KSWIN on our residual streams, for those who know and want them.

One river detector listens to each stream; the first to speak raises the alarm, and the watch is latched until somebody
acknowledges it.  Their parameters come from the same budget as `drift.watch`'s, but keep it only for independent
lumisections, which real ones are not.  They compare a stream with its own past, so they never see what was wrong from
the start, and they say that something changed, not what kind of cause it has.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from drift.conditions import Conditions
from drift.errors import StateError
from drift.listeners import MEMORY, listeners_for, parameters_for
from drift.profile import LumisectionSummary
from drift.reference import Reference
from drift.support import unfit

Floats = NDArray[np.float64]

UNDIAGNOSED = "undiagnosed"
ACTION = "look at what is named; this detector does not tell a broken detector from a real shift"
CLIP = 8.0
"""Largest residual passed on, so that one glitch does not outweigh an hour."""
NAMED = 8
MAGIC = b"RTRV"
VERSION = 1


@dataclass(frozen=True)
class Change:
    """An alarm without a verdict.

    Attributes:
        detector: Which detector raised it.
        stream: Name of the watched stream.
        run: Run of the lumisection at which it is told.
        lumisection: That lumisection.
        onset: Run and lumisection after which the strongest residual stream has another mean.
        names: Residual streams that changed, the strongest first.
        objects: Their object types.
    """

    detector: str
    stream: str
    run: int
    lumisection: int
    onset: tuple[int, int]
    names: tuple[str, ...]
    objects: tuple[str, ...]

    @property
    def text(self) -> str:
        """One sentence."""
        more = f" and {len(self.names) - 3} more" if len(self.names) > 3 else ""
        named = ", ".join(self.names[:3]) + more
        return f"{self.detector} saw a change in {named}, since run {self.onset[0]} lumisection {self.onset[1]}"

    def to_json(self) -> dict[str, object]:
        """Return the public form of an alarm; `log_evidence` is null, since these detectors have none."""
        named = zip(self.names[:NAMED], self.objects, strict=False)
        return {
            "type": "alarm",
            "stream": self.stream,
            "run": self.run,
            "lumisection": self.lumisection,
            "onset": {"run": self.onset[0], "lumisection": self.onset[1]},
            "verdict": UNDIAGNOSED,
            "log_evidence": None,
            "contributors": [{"feature": name, "object": kind, "log_evidence": None} for name, kind in named],
            "action": ACTION,
            "box": None,
            "text": self.text,
            "against": "a change against the stream's own past, not against the reference",
            "detector": self.detector,
        }


@dataclass(frozen=True)
class Choice:
    """What one lumisection amounts to, see `drift.watch.Decision`.

    Attributes:
        state: ``quiet``, ``alarm``, ``out_of_support``, ``data_gap`` or ``excluded``.
        reason: Why, in words; empty when quiet.
        streams: Residual streams whose detector spoke at this lumisection.
        alarm: The alarm, at the one lumisection at which it is told.
    """

    state: str
    reason: str
    streams: tuple[str, ...] = ()
    alarm: Change | None = None


class RiverDetector:
    """One river detector a residual stream; see the module."""

    def __init__(
        self,
        reference: Reference,
        *,
        detector: str,
        false_alarms_per_lumisection: float,
        stream: str,
        state: bytes | None = None,
        parameters: Mapping[str, float] | None = None,
        memory: int | None = None,
    ) -> None:
        """Start, or go on from a saved state.

        Args:
            reference: What is expected.
            detector: ``adwin``, ``page_hinkley`` or ``kswin``.
            false_alarms_per_lumisection: The budget, from which `parameters_for` derives the parameters.
            stream: Name told in alarms.
            state: From `save`; must have been saved under the same reference, detector and parameters.
            parameters: Of the river class, put over the derived ones.
            memory: Lumisections remembered at least, when not `drift.listeners.MEMORY`.

        Raises:
            StateError: The state is damaged, or belongs to another reference, stream or parameters.
            ValueError: The detector is not known, or the budget is not a rate between 0 and 1.
        """
        self.reference = reference
        self.stream = stream
        self.detector = detector
        labels = reference.streams.labels
        chosen: dict[str, Any] = parameters_for(detector, false_alarms_per_lumisection, len(labels))
        chosen |= dict(parameters or {})
        self._memory = max(memory or MEMORY[detector], int(chosen.get("window_size", 0)))
        self._head: dict[str, Any] = {
            "reference": reference.digest,
            "stream": stream,
            "detector": detector,
            "parameters": chosen,
            "memory": self._memory,
        }
        self._listeners = listeners_for(detector, chosen, len(labels))
        self._clock = 0
        self._kept: list[Floats] = []
        self._trail: list[tuple[int, int]] = []
        self._told: Change | None = None
        if state is not None:
            self._restore(state)

    def take(self, summary: LumisectionSummary, conditions: Conditions) -> Choice:
        """Take one lumisection in.

        Raises:
            ReferenceUnfitError: The summary was counted under another schema than the reference.
        """
        why = unfit(self.reference, summary, conditions)
        if why is not None:
            return Choice(why.state, why.reason)
        if self._told is not None:
            told = self._told
            return Choice("alarm", f"told at run {told.run} lumisection {told.lumisection}; acknowledge to listen anew")
        assert conditions.pileup is not None
        value = np.clip(self.reference.at(conditions).residuals(summary, conditions.pileup), -CLIP, CLIP)
        self._remember(value, (summary.run, summary.lumisection))
        found = self._listeners.take(self._kept, self._clock)
        self._clock += 1
        if not found.any():
            return Choice("quiet", "")
        self._told = self._change(np.flatnonzero(found), summary)
        return Choice("alarm", self._told.text, self._told.names, self._told)

    def conclude(self) -> None:
        """Nothing waits: these detectors speak at once."""

    def acknowledge(self) -> None:
        """Say that the cause of the last alarm is known: forget everything and listen anew."""
        self._told = None
        self._kept.clear()
        self._trail.clear()
        self._listeners.rebuild([])

    @property
    def told(self) -> tuple[int, int, str] | None:
        """The alarm that holds the watch: run and lumisection at which it was told, and its verdict; None when none."""
        return None if self._told is None else (self._told.run, self._told.lumisection, UNDIAGNOSED)

    def _remember(self, value: Floats, place: tuple[int, int]) -> None:
        if len(self._kept) >= 2 * self._memory:
            del self._kept[: -self._memory]
            del self._trail[: -self._memory]
            self._listeners.rebuild(self._kept)
        self._kept.append(value)
        self._trail.append(place)

    def _change(self, found: NDArray[np.int64], summary: LumisectionSummary) -> Change:
        seen = np.stack(self._kept)[:, found]
        points = [change_point(one) for one in seen.T]
        order = sorted(range(len(found)), key=lambda k: -points[k][1])
        labels = [self.reference.streams.labels[int(found[k])] for k in order]
        onset = self._trail[points[order[0]][0]]
        names, objects = tuple(one.name for one in labels), tuple(one.object for one in labels)
        return Change(self.detector, self.stream, summary.run, summary.lumisection, onset, names, objects)

    def save(self) -> bytes:
        """Return the whole state as checksummed, compressed bytes; a detector restored from it decides alike."""
        told = None if self._told is None else asdict(self._told)
        head = self._head | {"clock": self._clock, "trail": self._trail, "told": told}
        text = json.dumps(head, separators=(",", ":")).encode()
        body = struct.pack("<I", len(text)) + text + b"".join(one.astype("<f8").tobytes() for one in self._kept)
        packed = zstandard.ZstdCompressor(level=1).compress(body)
        return MAGIC + struct.pack("<HQ", VERSION, len(body)) + hashlib.sha256(body).digest() + packed

    def _restore(self, blob: bytes) -> None:
        head, values = _opened(blob)
        mine = json.loads(json.dumps(self._head))
        other = [key for key in mine if head.get(key) != mine[key]]
        if other:
            raise StateError(f"the state was saved under another {' and '.join(other)}; start the detector anew")
        self._clock = head["clock"]
        self._trail = [(run, lumisection) for run, lumisection in head["trail"]]
        rows = (
            np.frombuffer(values, dtype="<f8")
            .astype(np.float64)
            .reshape(len(self._trail), len(self.reference.streams.labels))
        )
        self._kept = list(rows)
        if head["told"] is not None:
            told = head["told"]
            onset, names, objects = (tuple(told.pop(name)) for name in ("onset", "names", "objects"))
            self._told = Change(onset=onset, names=names, objects=objects, **told)
        self._listeners.rebuild(self._kept)


def change_point(series: Floats) -> tuple[int, float]:
    """Return where a series most likely got another mean, and by how many spreads of unit noise.

    The start k that maximises |mean after - mean before| √(k (n - k) / n).
    """
    n = len(series)
    if n < 2:
        return 0, float(np.abs(series).sum())
    before = np.arange(1, n)
    total = np.cumsum(series)
    apart = (total[-1] - total[:-1]) / (n - before) - total[:-1] / before
    height = np.abs(apart) * np.sqrt(before * (n - before) / n)
    best = int(height.argmax())
    return best + 1, float(height[best])


def _opened(blob: bytes) -> tuple[dict[str, Any], bytes]:
    start = len(MAGIC) + 10 + 32
    if len(blob) < start or blob[: len(MAGIC)] != MAGIC:
        raise StateError("these bytes are not a saved detector; start it anew")
    version, size = struct.unpack_from("<HQ", blob, len(MAGIC))
    if version != VERSION:
        raise StateError(f"the saved detector has version {version}, this program reads {VERSION}; start it anew")
    try:
        body = zstandard.ZstdDecompressor().decompress(blob[start:], max_output_size=size)
    except zstandard.ZstdError as cause:
        raise StateError(f"the saved detector is damaged ({cause}); start it anew") from cause
    if hashlib.sha256(body).digest() != blob[len(MAGIC) + 10 : start]:
        raise StateError("the saved detector does not match its checksum; start it anew")
    (length,) = struct.unpack_from("<I", body)
    return json.loads(body[4 : 4 + length]), body[4 + length :]
