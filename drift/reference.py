"""What a healthy detector shows at each pileup, learnt from certified lumisections of several fills.

A reference is a frozen expectation with a digest: templates by pileup, cell maps, and the benign spreads that make
evidence honest.  It refuses to be fitted from too little, says what would make it better, and knows the pileup range
outside which it may not speak.  It never adapts: a reference that follows the detector absorbs its faults.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from drift.archive import pack, unpack
from drift.benign import Benign, Check, check_streams, fit_benign
from drift.breach import Promises
from drift.cells import CellModel
from drift.conditions import Conditions, DeclaredChange
from drift.errors import ReferenceUnfitError
from drift.fill_means import FillModel
from drift.fit import LEAST_SECTOR_COUNT, Sample, fit_cells, fit_streams
from drift.library import SHIPPED, FailureMode
from drift.profile import LumisectionSummary, layout_of
from drift.schema import FeatureSchema, schema_named
from drift.score_streams import SCORE, ScoreModel
from drift.signatures import Signatures, correlation_of, replayed
from drift.specimens import Group
from drift.standing import PLAIN, Rebaselined, Standing
from drift.strata import Strata, checked
from drift.streams import Floats, StreamLabel, StreamModel
from drift.views import Quiet, View

LEAST_FILLS = 3
LEAST_LUMISECTIONS = 60
GOOD_FILLS = 15
GOOD_LUMISECTIONS = 5000
SUPPORT = (0.01, 0.99)
NO_LIBRARY = "it has no failure-mode library, so verdicts follow rules alone; fit it from run files, or give it events"
VERSION = 5


@dataclass(frozen=True, eq=False)
class Reference:
    """A fitted expectation; see `Reference.fit`.

    Attributes:
        schema: What was counted.
        streams: Expected residual streams.
        cells: Expected maps by object type.
        benign: Benign spreads of the streams.
        check: How each stream did on held-out lumisections; those that failed take no part.
        slow: How far the means of healthy fills lie apart.
        promises: What every column keeps at each pileup.
        counts: Counts of the whole reference added up, for contract checks.
        events: Mean events in a lumisection.
        pileup_low: Lower end of the support: the 1 % quantile, and at least two fills have been as low.
        pileup_high: Upper end: the 99 % quantile, and at least two fills have been as high.
        fills: Fills in it.
        lumisections: Lumisections in it.
        advice: What would make it better, in sentences; empty when it is large enough.
        correlation: Of the streams while all is well, shrunk, shape ``(n_streams, n_streams)``.
        signatures: What every failure mode does to the streams; None when it was fitted from counts alone.
        digest: SHA-256 of all of this but itself.
        strata: Kinds of running that it tells apart.
        rebaselined: Declared changes whose intervals have constants of their own.
        parent: Digest of the reference that it was re-baselined from; empty when it was fitted.
        settled: Declared changes that all of it was taken under: they are what it expects.
        quiet: What takes no part under the standing that this is the view of; not stored.
    """

    schema: FeatureSchema
    streams: StreamModel
    cells: tuple[CellModel, ...]
    benign: Benign
    check: Check
    slow: FillModel
    promises: Promises
    counts: np.ndarray
    events: float
    pileup_low: float
    pileup_high: float
    fills: tuple[int, ...]
    lumisections: int
    advice: tuple[str, ...]
    correlation: np.ndarray
    signatures: Signatures | None
    digest: str
    strata: Strata = field(default_factory=Strata)
    rebaselined: tuple[Rebaselined, ...] = ()
    parent: str = ""
    settled: tuple[str, ...] = ()
    quiet: Quiet | None = None

    @classmethod
    def fit(
        cls,
        pairs: Iterable[tuple[LumisectionSummary, Conditions]],
        schema: FeatureSchema,
        *,
        strata: tuple[str, ...] = (),
    ) -> "Reference":
        """Fit from summaries and their conditions; only usable and certified lumisections count.

        Args:
            pairs: One summary and its conditions a lumisection, in any order.
            schema: The schema the summaries were counted under.
            strata: Columns of the conditions that tell strata apart, see `drift.strata`.

        Raises:
            ReferenceUnfitError: Too few fills or lumisections remain, a summary has another schema, or a column is not
                known.
        """
        sample = Sample.gather(pairs, schema, checked(strata))
        fills = tuple(int(one) for one in np.unique(sample.fill))
        if len(fills) < LEAST_FILLS or sample.size < LEAST_LUMISECTIONS:
            raise ReferenceUnfitError(
                f"a reference needs {LEAST_FILLS} fills and {LEAST_LUMISECTIONS} usable, certified lumisections; found "
                f"{len(fills)} fills and {sample.size} lumisections ({sample.refused_words()}); give it more fills, or "
                "conditions that certify them"
            )
        low, high = sample.support(SUPPORT)
        streams, held = fit_streams(sample, schema)
        values = held.standard(streams)
        groups = [_symmetric(one) for one in streams.labels]
        benign = fit_benign(values, held.fill, held.pileup, groups, sample.degree)
        check = check_streams(benign, values, held.fill, held.pileup)
        factor = sample.mean_events / held.events
        scaled = values * np.sqrt(factor)[:, None]
        slow = FillModel.fit(benign, scaled, factor, held.fill, held.pileup, groups, streams.labels, check.sound)
        if strata:
            benign = replace(benign, swell=benign.swell.stratified(sample.fill, sample.pileup, sample.members))
        cells = fit_cells(sample)
        promises = Promises.fit(
            layout_of(schema), sample.counts, sample.sparse, sample.events, sample.pileup, sample.members
        )
        off = [label.name for label, good in zip(streams.labels, check.sound, strict=True) if not good]
        advice = _advice(len(fills), sample.size, low, high, off) + slow.advice(streams.labels)
        if isinstance(streams.score, ScoreModel):
            advice += streams.score.advice(sample.mean_events, LEAST_SECTOR_COUNT)
        advice += sample.strata.advice + tuple(_mixed(one) for one in sample.mixed)
        body = cls(
            schema,
            streams,
            cells,
            benign,
            check,
            slow,
            promises,
            sample.counts,
            sample.mean_events,
            low,
            high,
            fills,
            sample.size,
            advice,
            correlation_of(values),
            None,
            "",
            sample.strata,
            settled=sample.settled,
        )
        return body.digested()

    def with_library(
        self, groups: Sequence[Group], rng: np.random.Generator, modes: Sequence[FailureMode] = SHIPPED
    ) -> "Reference":
        """Return the reference with its failure-mode library, so that verdicts weigh causes against each other.

        Args:
            groups: Certified events at a few pileups inside its range (`drift.specimens`); none changes nothing.
            rng: Which events and objects a partial fault hits.
            modes: Failure modes.
        """
        if not groups:
            return self
        signatures = replayed(groups, self.schema, self.streams, self.events, modes, rng)
        advice = tuple(one for one in self.advice if one != NO_LIBRARY)
        return replace(self, signatures=signatures, advice=advice, digest="").digested()

    @property
    def scorer(self) -> str:
        """Digest of the model whose scores are watched; empty when none are."""
        return self.streams.score.scorer if isinstance(self.streams.score, ScoreModel) else ""

    def at(self, conditions: Conditions) -> "Reference":
        """Return what is expected under the standing of a lumisection; itself where nothing sets it apart."""
        return self.under(self.standing(conditions))

    def standing(self, conditions: Conditions) -> Standing:
        """Return what a lumisection is compared under."""
        return Standing.of(conditions, self.strata, self.rebaselined, self.settled)

    def puzzles(self, change: DeclaredChange) -> bool:
        """Whether a declared change may move anything and the reference does not know what."""
        return change.unscoped and change.id not in {*self.settled, *(one.id for one in self.rebaselined)}

    def under(self, standing: Standing) -> "Reference":
        """Return what is expected under a standing; made once for each.  It keeps the digest of the whole."""
        if standing == PLAIN:
            return self
        if standing not in self._views:
            nothing = Quiet(np.zeros(len(self.streams.labels), dtype=bool))
            whole = View(self.streams, self.cells, self.benign, self.promises, self.slow, nothing)
            middle = (self.pileup_low + self.pileup_high) / 2
            view = whole.under(standing, self.strata, self.rebaselined, layout_of(self.schema), middle)
            parts = {one.name: getattr(view, one.name) for one in fields(view)}
            self._views[standing] = replace(self, **parts)
        return self._views[standing]

    @cached_property
    def _views(self) -> dict[Standing, "Reference"]:
        return {}

    @property
    def speaking(self) -> np.ndarray:
        """Which streams take part in the evidence, shape ``(n_streams,)``."""
        return self.check.sound if self.quiet is None else self.check.sound & ~self.quiet.streams

    def looked_at(self, summary: LumisectionSummary) -> LumisectionSummary:
        """Return a summary with nothing in its maps where nothing is looked at."""
        return summary if self.quiet is None else replace(summary, maps=self.quiet.maps(summary.maps))

    def rates(self, pileup: float) -> Floats:
        """Return the expected objects per event by object type, none of those that are not looked at."""
        rates = self.streams.rates.at(pileup)
        off = frozenset[str]() if self.quiet is None else self.quiet.objects
        return np.asarray(rates * np.array([kind not in off for kind in self.streams.objects]))

    def residuals(self, summary: LumisectionSummary, pileup: float) -> Floats:
        """Return the streams in use, see `StreamModel.standard`; zero where they take no part."""
        value = self.streams.standard(self.looked_at(summary), pileup)
        return value if self.quiet is None else np.where(self.quiet.streams, 0.0, value)

    def digested(self) -> "Reference":
        """Return it with the digest of what it holds."""
        head, arrays = self.parts()
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for name in sorted(arrays):
            digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
        return replace(self, digest=digest.hexdigest())

    def parts(self) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        """Return what is stored: a JSON header and arrays by name."""
        head: dict[str, object] = {
            "version": VERSION,
            "schema": self.schema.name,
            "schema_digest": self.schema.digest,
            "events": self.events,
            "pileup": [self.pileup_low, self.pileup_high],
            "fills": list(self.fills),
            "lumisections": self.lumisections,
            "advice": list(self.advice),
            "scorer": self.scorer,
            "parent": self.parent,
            "settled": list(self.settled),
            "rebaselined": [one.to_json() for one in self.rebaselined],
        }
        arrays: dict[str, np.ndarray] = {"counts": self.counts, "correlation": self.correlation}
        head["strata"] = pack("strata", self.strata, arrays)
        head["streams"] = pack("streams", self.streams, arrays)
        head["benign"] = pack("benign", self.benign, arrays)
        head["check"] = pack("check", self.check, arrays)
        head["slow"] = pack("slow", self.slow, arrays)
        head["promises"] = pack("promises", self.promises, arrays)
        head["signatures"] = None if self.signatures is None else pack("signatures", self.signatures, arrays)
        head["cells"] = [pack(f"cells{i}", one, arrays) for i, one in enumerate(self.cells)]
        return head, arrays

    def save(self, path: Path) -> None:
        """Write to one file, atomically."""
        head, arrays = self.parts()
        header = np.frombuffer(json.dumps(head | {"digest": self.digest}).encode(), dtype=np.uint8)
        partial = path.with_suffix(path.suffix + ".part")
        try:
            with partial.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, header=header, **arrays)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read a saved reference and check its digest.

        Raises:
            ReferenceUnfitError: The file is missing, is not a reference, was altered, or is of another schema version.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as cause:
            raise ReferenceUnfitError(f"{path} {_what_is_there(path)}") from cause
        if "header" not in arrays:
            raise ReferenceUnfitError(f"{path} is not a reference; fit one with `retrigger reference fit`")
        try:
            return cls._restored(path, json.loads(arrays.pop("header").tobytes()), arrays)
        except (KeyError, TypeError, ValueError, IndexError) as cause:
            raise ReferenceUnfitError(
                f"{path} is a damaged reference ({type(cause).__name__}); fit it again"
            ) from cause

    @classmethod
    def _restored(cls, path: Path, head: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Reference":
        if head["version"] != VERSION:
            raise ReferenceUnfitError(
                f"{path} is a reference of version {head['version']}, this program reads {VERSION}; fit it again"
            )
        schema = schema_named(head["schema"])
        if head["schema_digest"] != schema.digest:
            raise ReferenceUnfitError(f"{path} was made under another version of {schema.name}; fit it again")
        loaded = cls(
            schema,
            unpack(StreamModel, head["streams"], arrays),
            tuple(unpack(CellModel, one, arrays) for one in head["cells"]),
            unpack(Benign, head["benign"], arrays),
            unpack(Check, head["check"], arrays),
            unpack(FillModel, head["slow"], arrays),
            unpack(Promises, head["promises"], arrays),
            arrays["counts"],
            head["events"],
            head["pileup"][0],
            head["pileup"][1],
            tuple(head["fills"]),
            head["lumisections"],
            tuple(head["advice"]),
            arrays["correlation"],
            None if head["signatures"] is None else unpack(Signatures, head["signatures"], arrays),
            "",
            unpack(Strata, head["strata"], arrays),
            tuple(Rebaselined.from_json(one) for one in head["rebaselined"]),
            head["parent"],
            tuple(head["settled"]),
        )
        loaded = loaded.digested()
        if loaded.digest != head["digest"]:
            raise ReferenceUnfitError(f"{path} does not match its digest {head['digest'][:12]}; fit it again")
        return loaded


def _what_is_there(path: Path) -> str:
    """Return in words why a path is no reference, from what lies there, and what to do."""
    fit = "fit one with `retrigger reference fit`"
    if not path.exists():
        return f"does not exist: {fit}"
    if path.is_dir():
        return "is a folder; name the file of a reference"
    try:
        with path.open("rb") as raw:
            begins = raw.read(4)
    except OSError as cause:
        return f"cannot be read: {cause.strerror}; check path and rights"
    if not begins:
        return f"is empty: {fit}"
    if begins != b"PK\x03\x04":
        seen = begins.decode("latin-1")
        return f"is no reference: it begins with {seen!r} and not as the .npz file of one; name another file"
    return "is a damaged reference; fit it again with `retrigger reference fit`"


def _mixed(change: str) -> str:
    return (
        f"declared change {change} holds in some of the lumisections, so the expectation is a mixture; fit from before "
        "or after it, or fit from before and use `retrigger reference rebaseline`"
    )


def _symmetric(one: StreamLabel) -> str:
    """Return the group of streams that are alike by symmetry, whose spreads are pooled."""
    if one.object == SCORE:
        return one.name
    return f"{one.family}:{one.object}" if one.family in {"phi", "eta", "scale", "rate"} else one.family


def _advice(fills: int, lumisections: int, low: float, high: float, off: list[str]) -> tuple[str, ...]:
    said = []
    if fills < GOOD_FILLS:
        said.append(
            f"{fills} fills show little of what varies from fill to fill, so the allowance is widened; "
            f"{GOOD_FILLS} are enough"
        )
    if lumisections < GOOD_LUMISECTIONS:
        said.append(f"{lumisections} lumisections leave the templates uncertain; {GOOD_LUMISECTIONS} are enough")
    if high - low < 5:
        said.append(f"pileup only spans {low:.1f} to {high:.1f}; outside it nothing can be said")
    if off:
        named = ", ".join(off[:4]) + (f" and {len(off) - 4} more" if len(off) > 4 else "")
        said.append(f"streams off because they failed their held-out check: {named}")
    said.append(NO_LIBRARY)
    return tuple(said)
