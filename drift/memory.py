"""What a watch remembers besides evidence, and how all of it is saved and restored bit for bit."""

import hashlib
import json
import struct
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from drift.benign import FillFilter
from drift.breach import Breach
from drift.cells import halve
from drift.conditions import DeclaredChange
from drift.conditions.declared import change_of
from drift.detect import Contributor, Evidence
from drift.errors import StateError
from drift.profile import LumisectionSummary, layout_of
from drift.ramps import Ramps
from drift.rate_evidence import RateEvidence
from drift.reference import Reference
from drift.score_streams import SCORE, ScoreModel
from drift.slow import SlowEvidence, effects
from drift.standing import PLAIN, Standing
from drift.window import FineMap, Window

MAGIC = b"RTWS"
VERSION = 5
LENGTH = 64
COARSE = 36
"""Azimuthal cells beyond which a diagnosis looks at cells of two by two: a million rectangles are enough."""
TRAIL = 528
"""Lumisections whose names are kept: as far as the lines of `drift.ramps` reach back, so that an old onset is told."""


@dataclass(eq=False)
class Seen:
    """One lumisection, as much of it as a diagnosis needs."""

    clock: int
    run: int
    lumisection: int
    fill: int
    pileup: float
    events: int
    streams: NDArray[np.float64]
    maps: dict[str, NDArray[np.uint16]]
    met_phi: NDArray[np.int64]
    broken: tuple[Breach, ...]
    standing: Standing = PLAIN


def seen_of(
    view: Reference,
    summary: LumisectionSummary,
    when: tuple[int, int, float],
    streams: NDArray[np.float64],
    broken: tuple[Breach, ...],
    standing: Standing,
) -> Seen:
    """Return a lumisection as it is remembered.

    Args:
        view: What it was compared with.
        summary: Its counts, where they were looked at.
        when: The watch's count of it, its fill and its pileup.
        streams: Its standardised residuals.
        broken: Broken promises.
        standing: What it was compared under.
    """
    maps = {kind: np.minimum(one, 65535).astype(np.uint16) for kind, one in summary.maps.items()}
    met = np.zeros(12, dtype=np.int64)
    for one in layout_of(view.schema).histograms:
        if one.object == "MET" and one.quantity == "phi" and (view.quiet is None or "MET" not in view.quiet.objects):
            met = np.asarray(summary.counts[one.regular].reshape(12, -1).sum(axis=1))
    clock, fill, pileup = when
    place = (clock, summary.run, summary.lumisection, fill, pileup, summary.events)
    return Seen(*place, streams, maps, met, broken, standing)


@dataclass
class Pending:
    """An alarm that waits for two more lumisections: when it was raised, how long it waits, and on what evidence."""

    clock: int
    age: int
    level: float
    contributors: tuple[Contributor, ...]


@dataclass
class Latched:
    """An alarm that was told and not yet acknowledged, and when it was last looked behind."""

    verdict: str
    run: int
    lumisection: int
    looked: int


@dataclass(eq=False)
class Memory:
    """Everything a watch remembers besides evidence."""

    fill: int | None
    pending: Pending | None
    latched: Latched | None
    seen: list[Seen] = field(default_factory=list)
    trail: list[tuple[int, int, int]] = field(default_factory=list)
    standing: Standing = PLAIN
    changes: list[DeclaredChange] = field(default_factory=list)
    last: tuple[int, int] | None = None
    """Run and number of the last lumisection that came, whether or not it said anything."""
    learnt: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Object types that a declared change of unknown scope was seen to move: in them only holes are looked for."""
    held: set[str] = field(default_factory=set)
    """Those of these changes that have been in force since they were told."""
    told_fill: tuple[int, int] | None = None
    """Run and fill as last told."""

    @classmethod
    def fresh(cls) -> "Memory":
        """Return an empty memory."""
        return cls(None, None, None)

    def keep_learnt(self, in_force: Collection[str]) -> None:
        """Forget what a change moved once it has been in force and is no more; one told after its end stays."""
        for change in [*self.learnt]:
            if change in in_force:
                self.held.add(change)
            elif change in self.held:
                del self.learnt[change]
        self.held &= self.learnt.keys()

    def forget_lasting(self) -> None:
        """Forget what changes moved that were over before they were told."""
        self.learnt = {change: objects for change, objects in self.learnt.items() if change in self.held}

    def remember(self, one: Seen) -> None:
        """Add a lumisection, dropping the oldest beyond the window."""
        self.seen.append(one)
        del self.seen[:-LENGTH]
        self.trail.append((one.clock, one.run, one.lumisection))
        del self.trail[:-TRAIL]


def window_of(reference: Reference, memory: Memory) -> Window:
    """Return the remembered lumisections as a diagnosis reads them; those that broke a contract are left out."""
    seen = [one for one in memory.seen if not one.broken] or memory.seen
    views = [reference.under(one.standing) for one in seen]
    layout = layout_of(reference.schema)
    grids = {grid.name: grid for grid in layout.maps}
    towers = dict(grids)
    fine: dict[str, FineMap] = {}
    maps: dict[str, NDArray[np.int64]] = {}
    expected: dict[str, NDArray[np.float64]] = {}
    for place, model in enumerate(reference.cells):
        name = model.name
        seen_maps = np.stack([one.maps[name] for one in seen]).astype(np.int64)
        totals = seen_maps.sum(axis=(1, 2)).tolist()
        wanted = np.stack(
            [
                view.cells[place].expected(float(total), one.pileup)
                for view, total, one in zip(views, totals, seen, strict=True)
            ]
        )
        fine[name] = FineMap(seen_maps, wanted, towers[name])
        maps[name], expected[name] = seen_maps, wanted
        if grids[name].shape[1] > COARSE:
            maps[name] = np.stack([halve(one.astype(np.float64)) for one in seen_maps]).astype(np.int64)
            expected[name] = np.stack([halve(one) for one in wanted])
            grids[name] = grids[name].halved()
    rate = np.stack([view.rates(one.pileup) * one.events for view, one in zip(views, seen, strict=True)])
    met = next((h for h in layout.histograms if h.object == "MET" and h.quantity == "phi"), None)
    usual = np.ones(12) if met is None else reference.counts[met.regular].reshape(12, -1).sum(axis=1)
    pairs = zip(reference.streams.labels, effects(reference), strict=True)
    effect = {label.object: float(one) for label, one in pairs if label.family == "scale"}
    for spread, label in zip(reference.streams.spread, reference.streams.labels, strict=True):
        if (label.family, label.index) == ("score", 0) and isinstance(reference.streams.score, ScoreModel):
            effect[SCORE] = reference.streams.score.effect(float(spread), reference.events)
    benign = reference.benign
    return Window(
        np.array([one.clock for one in seen]),
        np.array([one.fill for one in seen]),
        np.stack([one.streams for one in seen]),
        benign.noise,
        benign.offset + benign.wander,
        reference.streams.labels,
        maps,
        expected,
        {kind: rate[:, i] for i, kind in enumerate(reference.streams.objects)},
        np.stack([one.met_phi for one in seen]).astype(np.float64),
        usual / max(usual.sum(), 1.0),
        grids,
        fine,
        effect,
        np.array([one.pileup for one in seen]),
        np.array([reference.events / one.events for one in seen]),
    )


def _arrays(evidence: Evidence, memory: Memory, slow: SlowEvidence) -> list[tuple[str, NDArray[np.generic]]]:
    out: list[tuple[str, NDArray[np.generic]]] = [
        ("state", evidence.filter.state),
        ("covariance", evidence.filter.covariance),
        ("ratio", evidence.ratio),
        ("response", evidence.response),
        ("start", evidence.start),
        ("ramp_ratio", evidence.ramps.ratio),
        ("ramp_height", evidence.ramps.height),
        ("ramp_response", evidence.ramps.response),
        ("ramp_start", evidence.ramps.start),
    ]
    out += [(f"cells{i}", one) for i, one in enumerate(evidence.cells)]
    out += [(f"slow:{name}", one) for name, one in slow.state()[1].items()]
    if memory.seen:
        out.append(("streams", np.stack([one.streams for one in memory.seen])))
        out.append(("met_phi", np.stack([one.met_phi for one in memory.seen])))
        out += [(f"map:{kind}", np.stack([one.maps[kind] for one in memory.seen])) for kind in memory.seen[0].maps]
    return out


def save(
    reference: Reference,
    stream: str,
    evidence: Evidence,
    memory: Memory,
    slow: SlowEvidence,
    rates: RateEvidence | None = None,
) -> bytes:
    """Return everything as checksummed, compressed bytes."""
    arrays = _arrays(evidence, memory, slow)
    of_rates: dict[str, Any] = {}
    if rates is not None:
        of_rates["rates"], kept = rates.pack()
        arrays += [(f"rates:{name}", one) for name, one in kept.items()]
    head = of_rates | {
        "reference": reference.digest,
        "stream": stream,
        "clock": evidence.clock,
        "slow": slow.state()[0],
        "fill": memory.fill,
        "standing": memory.standing.to_json(),
        "changes": [one.to_json() for one in memory.changes],
        "pending": asdict(memory.pending) if memory.pending is not None else None,
        "latched": asdict(memory.latched) if memory.latched is not None else None,
        "seen": [
            (
                *(s.clock, s.run, s.lumisection, s.fill, s.pileup.hex(), s.events),
                *([asdict(b) for b in s.broken], s.standing.to_json()),
            )
            for s in memory.seen
        ],
        "trail": memory.trail,
        "last": memory.last,
        "told_fill": memory.told_fill,
        "learnt": memory.learnt,
        "held": sorted(memory.held),
        "arrays": [(name, one.dtype.str, one.shape) for name, one in arrays],
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(np.ascontiguousarray(one).tobytes() for _, one in arrays)
    packed = zstandard.ZstdCompressor(level=1).compress(body)
    return MAGIC + struct.pack("<HQ", VERSION, len(body)) + hashlib.sha256(body).digest() + packed


def load(
    blob: bytes,
    reference: Reference,
    stream: str,
    evidence: Evidence,
    memory: Memory,
    slow: SlowEvidence,
    rates: RateEvidence | None = None,
) -> None:
    """Put a saved state into fresh evidence, memory and slow evidence; rates that it does not know yet stay fresh.

    Raises:
        StateError: The bytes are damaged, of another version, reference, rate reference or stream.
    """
    head, place, body = _opened(blob)
    if (head["reference"], head["stream"]) != (reference.digest, stream):
        raise StateError(
            f"the state belongs to stream {head['stream']} under reference {head['reference'][:12]}, not to {stream} "
            f"under {reference.digest[:12]}; start the watch anew"
        )
    arrays = {}
    for name, kind, shape in head["arrays"]:
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(body, dtype=kind, count=count, offset=place).reshape(shape).copy()
        place += arrays[name].nbytes
    _load_rates(head.get("rates"), arrays, rates)
    evidence.clock = head["clock"]
    evidence.filter = FillFilter(arrays["state"], arrays["covariance"])
    evidence.ratio, evidence.response, evidence.start = arrays["ratio"], arrays["response"], arrays["start"]
    evidence.cells = [arrays[f"cells{i}"] for i in range(len(evidence.cells))]
    lines = (arrays[f"ramp_{name}"] for name in ("ratio", "height", "response", "start"))
    evidence.ramps = Ramps(evidence.ramps.places, *lines)
    slow.restore(head["slow"], {name[5:]: one for name, one in arrays.items() if name.startswith("slow:")})
    memory.fill, memory.standing = head["fill"], Standing.from_json(head["standing"])
    memory.changes = [change_of(one) for one in head["changes"]]
    if head["pending"] is not None:
        parts = tuple(Contributor(**one) for one in head["pending"].pop("contributors"))
        memory.pending = Pending(**head["pending"], contributors=parts)
    memory.latched = Latched(**head["latched"]) if head["latched"] is not None else None
    memory.last, memory.told_fill = (_pair(head[name]) for name in ("last", "told_fill"))
    memory.held = {*head["held"]}
    memory.learnt = {change: tuple(objects) for change, objects in head["learnt"].items()}
    memory.trail = [(clock, run, lumisection) for clock, run, lumisection in head["trail"]]
    kinds = [name.split(":", 1)[1] for name in arrays if name.startswith("map:")]
    for i, (clock, run, lumisection, fill, pileup, events, broken, standing) in enumerate(head["seen"]):
        maps = {kind: arrays[f"map:{kind}"][i] for kind in kinds}
        bad = tuple(Breach(**one) for one in broken)
        met = arrays["met_phi"][i]
        pu = float.fromhex(pileup)
        under, values = Standing.from_json(standing), arrays["streams"][i]
        memory.seen.append(Seen(clock, run, lumisection, fill, pu, events, values, maps, met, bad, under))


def _pair(stored: list[int] | None) -> tuple[int, int] | None:
    return None if stored is None else (stored[0], stored[1])


def _load_rates(head: Any, arrays: dict[str, NDArray[Any]], rates: RateEvidence | None) -> None:
    if head is None:
        return
    if rates is None or head["digest"] != rates.reference.digest:
        now = "none is given" if rates is None else f"{rates.reference.digest[:12]} is"
        raise StateError(
            f"the state was saved under rate reference {head['digest'][:12]}, and now {now}; start the watch anew"
        )
    mark = "rates:"
    rates.unpack(head, {name.removeprefix(mark): one for name, one in arrays.items() if name.startswith(mark)})


def _opened(blob: bytes) -> tuple[dict[str, Any], int, bytes]:
    start = len(MAGIC) + 10 + 32
    if len(blob) < start or blob[: len(MAGIC)] != MAGIC:
        raise StateError("these bytes are not a saved watch; start the watch anew")
    version, size = struct.unpack_from("<HQ", blob, len(MAGIC))
    if version != VERSION:
        raise StateError(f"the saved watch has version {version}, this program reads {VERSION}; start the watch anew")
    try:
        body = zstandard.ZstdDecompressor().decompress(blob[start:], max_output_size=size)
    except zstandard.ZstdError as cause:
        raise StateError(f"the saved watch is damaged ({cause}); start the watch anew") from cause
    if hashlib.sha256(body).digest() != blob[len(MAGIC) + 10 : start]:
        raise StateError("the saved watch does not match its checksum; start the watch anew")
    (length,) = struct.unpack_from("<I", body)
    return json.loads(body[4 : 4 + length]), 4 + length, body
