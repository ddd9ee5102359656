"""How a reference is learnt: templates, directions and held-out residuals from a sample of certified lumisections.

Every spread that evidence rests on comes from residuals of fills whose own lumisections had no part in their template:
what the template does not know is then inside the spread.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from drift.cells import CellModel
from drift.conditions import Conditions
from drift.errors import ReferenceUnfitError
from drift.profile import LumisectionSummary, layout_of
from drift.schema import FeatureSchema
from drift.score_fit import ScoreSample, fit_scores, told
from drift.strata import Strata, Tally, members, stratum_of
from drift.streams import (
    DIRECTED,
    ETA_RINGS,
    PHI_SECTORS,
    Floats,
    Ints,
    StreamLabel,
    StreamModel,
    Template,
    azimuths,
    equal_rings,
    label_streams,
    matched,
    merge_bins,
    mixing_direction,
    noise_direction,
    scale_direction,
)
from drift.succession import fill_of

LEAST_SECTOR_COUNT = 15.0
LEAST_EVENTS = 50
MOST_FOLDS = 8
COMPONENTS = 12


@dataclass(eq=False)
class Sample:
    """The lumisections a reference is learnt from, in time order, histograms kept sparse.

    Attributes:
        fill: Fill of each, shape ``(n,)``.
        pileup: Shape ``(n,)``.
        events: Shape ``(n,)``.
        counts: Flat table summed over all.
        rows: Objects by map in every η row, shape ``(n, n_eta)``.
        azimuths: Objects by map in twelve azimuthal sectors, shape ``(n, 12)``.
        pooled: Object maps, summed over all, shape ``(n_eta, n_phi)``.
        sparse: Places and values of each flat table.
        refused: How many lumisections were not taken, by reason.
        scores: Their scores, when they have any.
        strata: The strata it has.
        stratum: Which of them each is of, -1 without strata, shape ``(n,)``.
        settled: Declared changes in force in all of it.
        mixed: Those in force in some of it.
    """

    fill: Ints
    pileup: Floats
    events: Floats
    counts: Floats
    rows: dict[str, NDArray[np.int64]]
    azimuths: dict[str, NDArray[np.int64]]
    pooled: dict[str, NDArray[np.int64]]
    sparse: list[tuple[NDArray[np.int32], NDArray[np.int64]]]
    refused: Counter[str]
    scores: ScoreSample | None = None
    strata: Strata = field(default_factory=Strata)
    stratum: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    settled: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()

    @property
    def members(self) -> Floats:
        """One where a lumisection is of a stratum, shape ``(n, n_strata)``."""
        return members(self.stratum, len(self.strata.names))

    @property
    def size(self) -> int:
        """Number of lumisections."""
        return len(self.fill)

    @property
    def mean_events(self) -> float:
        """Mean events in a lumisection."""
        return float(self.events.mean())

    def refused_words(self) -> str:
        """Say what was not taken and why."""
        return ", ".join(f"{count} left out: {why}" for why, count in self.refused.most_common()) or "none left out"

    @classmethod
    def gather(
        cls,
        pairs: Iterable[tuple[LumisectionSummary, Conditions]],
        schema: FeatureSchema,
        columns: tuple[str, ...] = (),
    ) -> "Sample":
        """Take the usable and certified lumisections, of strata that two fills have; `columns` tell those apart.

        Raises:
            ReferenceUnfitError: A summary was counted under another schema, the schema has no features, or scores are
                not of one model.
        """
        if not schema.features:
            raise ReferenceUnfitError(f"schema {schema.name} reads no features, so nothing can be watched with it")
        rows, refused = [], Counter[str]()
        tally = Tally(layout_of(schema), columns)
        for summary, conditions in pairs:
            if summary.schema_digest != schema.digest:
                raise ReferenceUnfitError(
                    f"run {summary.run} lumisection {summary.lumisection} was counted under another schema than "
                    f"{schema.name}; count it again"
                )
            if not conditions.usable or conditions.pileup is None:
                refused[conditions.obstacle] += 1
            elif conditions.certified is not True:
                refused["not certified"] += 1
            elif summary.events < LEAST_EVENTS:
                refused[f"below {LEAST_EVENTS} events"] += 1
            elif (name := stratum_of(conditions, columns)) is None:
                refused["stratum unknown"] += 1
            else:
                places = np.flatnonzero(summary.counts).astype(np.int32)
                sums = {kind: (one.sum(axis=1), azimuths(one)) for kind, one in summary.maps.items()}
                fill = fill_of(conditions)
                tally.add(name, fill, summary, conditions.declared)
                place = (fill, summary.run, summary.lumisection, conditions.pileup, summary.events)
                rows.append((*place, places, summary.counts[places], sums, name, summary.scores))
        strata, total, pooled = tally.result()
        refused += Counter(f"only fill of {row[8]}" for row in rows if row[8] in strata.few)
        rows = sorted((row for row in rows if row[8] not in strata.few), key=lambda row: row[:3])
        return cls(
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[3] for row in rows], dtype=np.float64),
            np.array([row[4] for row in rows], dtype=np.float64),
            total,
            {kind: np.stack([row[7][kind][0] for row in rows]) for kind in pooled} if rows else {},
            {kind: np.stack([row[7][kind][1] for row in rows]) for kind in pooled} if rows else {},
            pooled,
            [(row[5], row[6]) for row in rows],
            refused,
            ScoreSample.of([row[9] for row in rows]),
            strata,
            np.array([strata.place(row[8]) if columns else -1 for row in rows], dtype=np.int64),
            tally.settled,
            tally.mixed,
        )

    def merged(self, merged: Ints, bins: int) -> Floats:
        """Return the merged counts of every lumisection, shape ``(n, bins)``."""
        out = np.zeros((self.size, bins))
        for row, (places, values) in enumerate(self.sparse):
            target = merged[places]
            kept = target >= 0
            out[row] = np.bincount(target[kept], weights=values[kept], minlength=bins)
        return out

    def support(self, quantiles: tuple[float, float]) -> tuple[float, float]:
        """Return the pileup range about which the sample may speak.

        Where a single fill has been, nothing tells what is the fill's own from what is the pileup's.

        Args:
            quantiles: Lower and upper quantile of pileup that bound it.
        """
        low, high = (float(q) for q in np.quantile(self.pileup, quantiles))
        ends = [np.quantile(self.pileup[self.fill == one], quantiles) for one in np.unique(self.fill)]
        lows, highs = sorted(float(one[0]) for one in ends), sorted(float(one[1]) for one in ends)
        return max(low, lows[1]), min(high, highs[-2])

    def folds(self) -> list[Ints]:
        """Return groups of fills to hold out in turn."""
        fills = np.unique(self.fill)
        return [fills[start :: min(MOST_FOLDS, len(fills))] for start in range(min(MOST_FOLDS, len(fills)))]

    @property
    def degree(self) -> int:
        """Degree of pileup polynomials the sample can carry."""
        if self.size < 150 or np.ptp(self.pileup) < 0.05 * self.pileup.mean():
            return 1
        return 2 if self.size < 1500 else 3


@dataclass(eq=False)
class _Counted:
    """The sample as the templates see it."""

    bins: Floats
    totals: Floats
    sectors: Floats

    def templates(self, sample: Sample, used: NDArray[np.bool_]) -> tuple[Template, Template, Template]:
        pileup, events, degree, strata = sample.pileup[used], sample.events[used], sample.degree, sample.members[used]
        size = PHI_SECTORS + ETA_RINGS
        per_type = np.maximum(np.repeat(self.totals[used], size, axis=1), 1.0)
        return (
            Template.fit(self.bins[used], events, pileup, degree, strata),
            Template.fit(self.totals[used], events, pileup, degree, strata),
            Template.fit(self.sectors[used], per_type, pileup, min(degree, 2), strata),
        )


@dataclass(eq=False)
class HeldOut:
    """Residual streams of lumisections whose fill had no part in the template.

    Attributes:
        raw: Every stream, shape ``(n_held, n_all_streams)``.
        fill: Fill of each.
        pileup: Pileup of each.
        events: Events in each.
    """

    raw: Floats
    fill: Ints
    pileup: Floats
    events: Floats

    def standard(self, model: StreamModel) -> Floats:
        """Return the streams in use, centred and scaled as the model does."""
        return np.asarray((self.raw[:, model.kept] - model.mean) / model.spread)


def fit_streams(sample: Sample, schema: FeatureSchema) -> tuple[StreamModel, HeldOut]:
    """Fit the stream model, and return it with the held-out residuals its spreads come from."""
    layout = layout_of(schema)
    objects = tuple(schema.objects)
    merged, owner = merge_bins(layout, sample.counts, float(sample.events.sum()), sample.size)
    rings = tuple(equal_rings(sample.rows[kind].sum(axis=0).astype(np.float64)) for kind in objects)
    parts = []
    for kind, ring in zip(objects, rings, strict=True):
        parts += [sample.azimuths[kind], sample.rows[kind] @ np.eye(ETA_RINGS, dtype=np.int64)[ring]]
    sectors = np.concatenate(parts, axis=1).astype(np.float64)
    totals = np.stack([sample.rows[kind].sum(axis=1) for kind in objects], axis=1).astype(np.float64)
    counted = _Counted(sample.merged(merged, owner.size), totals, sectors)
    shares, rates, sector_shares = counted.templates(sample, np.ones(sample.size, dtype=bool))
    nothing = np.zeros((0, owner.size))
    model = StreamModel(
        objects,
        merged,
        owner,
        shares,
        rates,
        sector_shares,
        rings,
        nothing,
        np.zeros(0),
        (),
        (),
        nothing,
        np.zeros(0),
        np.zeros(0, dtype=np.int64),
        (),
        np.zeros(0),
        np.zeros(0),
    )
    places, folds = _held_out(sample, counted, model)
    residual = np.stack(
        [
            fold.bin_residuals(counted.bins[i], sample.events[i], sample.pileup[i])
            for i, fold in zip(places, folds, strict=True)
        ]
    )
    model = _with_directions(model, sample, schema, residual)
    model = _with_components(model, residual)
    raw = np.stack(
        [
            replace(fold, directions=model.directions, components=model.components, variances=model.variances).raw_from(
                residual[row], sample.events[i], counted.totals[i], counted.sectors[i], sample.pileup[i]
            )
            for row, (i, fold) in enumerate(zip(places, folds, strict=True))
        ]
    )
    labels = label_streams(layout, objects, model.scale_objects, model.extras, owner, len(model.variances))
    kept = _kept(labels, raw, totals.mean(axis=0), sectors.mean(axis=0), objects)
    if sample.scores is not None:
        model, raw, labels, kept = _with_scores(model, sample, places, raw, labels, kept)
    mean = np.array([0.0 if labels[k].family in (*DIRECTED, "pc") else raw[:, k].mean() for k in kept])
    fill = sample.fill[places]
    within = np.concatenate(
        [raw[fill == one][:, kept] - raw[fill == one][:, kept].mean(axis=0) for one in np.unique(fill)]
    )
    spread = np.maximum(within.std(axis=0), 0.3)
    model = replace(model, kept=kept, labels=tuple(labels[k] for k in kept), mean=mean, spread=spread)
    return model, HeldOut(raw, fill, sample.pileup[places], sample.events[places])


def _held_out(sample: Sample, counted: _Counted, model: StreamModel) -> tuple[list[int], list[StreamModel]]:
    places, folds = [], []
    for held in sample.folds():
        out = np.isin(sample.fill, held)
        low, high = np.quantile(sample.pileup[~out], (0.01, 0.99))
        shares, rates, sectors = counted.templates(sample, ~out)
        fold = replace(model, shares=shares, rates=rates, sectors=sectors)
        known = out & (sample.pileup >= low) & (sample.pileup <= high)
        for stratum in np.unique(sample.stratum[~out]):  # a stratum that the fold lacks has nothing to be held to
            inside = np.flatnonzero(known & (sample.stratum == stratum))
            places += inside.tolist()
            folds += [fold.shifted([int(stratum)] if stratum >= 0 else [])] * len(inside)
    if len(places) < sample.size / 3:
        raise ReferenceUnfitError(
            f"only {len(places)} of {sample.size} lumisections have a pileup that other fills of the reference also "
            "have, so fill-to-fill spread cannot be told from pileup; give it fills of like pileup"
        )
    order = sorted(range(len(places)), key=places.__getitem__)
    return [places[k] for k in order], [folds[k] for k in order]


def _with_directions(model: StreamModel, sample: Sample, schema: FeatureSchema, residual: Floats) -> StreamModel:
    root = np.sqrt(np.maximum(sample.merged(model.merged, model.owner.size).sum(axis=0) / sample.events.sum(), 1e-6))
    histograms = layout_of(schema).histograms
    bins = model.owner.size
    wanted: list[tuple[StreamLabel, list[int], Floats]] = []
    for kind in ("MET", *schema.objects):
        of_kind = [i for i, one in enumerate(histograms) if one.object == kind and one.quantity == "pt"]
        slopes = (scale_direction(histograms[i], sample.counts, model.merged, bins) for i in of_kind)
        wanted.append((StreamLabel("scale", kind, 0, ""), of_kind, sum(slopes, np.zeros(bins))))
    angles = [i for i, one in enumerate(histograms) if one.object == "MET" and one.quantity == "angle"]
    mixing = (mixing_direction(histograms[i], sample.counts, model.merged, bins) for i in angles)
    wanted.append(
        (StreamLabel("mix", "MET", 0, "MET direction against its recoil"), angles, sum(mixing, np.zeros(bins)))
    )
    for i, one in enumerate(histograms):
        if one.object == "MET" and one.quantity == "pt":
            line = noise_direction(one, sample.counts, model.merged, bins)
            wanted.append((StreamLabel("noise", "MET", 0, "MET noise"), [i], line))
    lines, response, labels = [], [], []
    for label, owners, slope in wanted:
        inside = np.isin(model.owner, owners)
        if inside.any():
            line, strength = matched(slope / root, inside, residual)
            lines.append(line)
            response.append(strength)
            labels.append(label)
    scales = tuple(one.object for one in labels if one.family == "scale")
    extras = tuple(one for one in labels if one.family != "scale")
    return replace(model, directions=np.stack(lines), response=np.array(response), scale_objects=scales, extras=extras)


def _with_components(model: StreamModel, residual: Floats) -> StreamModel:
    count = int(min(COMPONENTS, len(residual) // 20))
    _, sizes, axes = np.linalg.svd(residual - residual.mean(axis=0), full_matrices=False)
    pivot = np.sign(axes[:count][np.arange(count), np.abs(axes[:count]).argmax(axis=1)])
    return replace(model, components=axes[:count] * pivot[:, None], variances=sizes[:count] ** 2 / len(residual))


def _with_scores(
    model: StreamModel, sample: Sample, places: list[int], raw: Floats, labels: tuple[StreamLabel, ...], kept: Ints
) -> tuple[StreamModel, Floats, tuple[StreamLabel, ...], Ints]:
    """Add the score's streams after all others."""
    assert sample.scores is not None
    held = [np.isin(sample.fill, out) for out in sample.folds()]
    strata = sample.stratum, sample.members
    score, more = fit_scores(
        sample.scores, sample.events, sample.pileup, sample.degree, held, places, (labels, raw), strata
    )
    good = told(score, sample.mean_events, LEAST_SECTOR_COUNT) & (more.std(axis=0) > 1e-6)
    kept = np.concatenate([kept, raw.shape[1] + np.flatnonzero(good)])
    return replace(model, score=score), np.concatenate([raw, more], axis=1), labels + score.labels, kept


def _kept(
    labels: tuple[StreamLabel, ...], raw: Floats, totals: Floats, sectors: Floats, objects: tuple[str, ...]
) -> Ints:
    expected = np.full(len(labels), np.inf)
    size = PHI_SECTORS + ETA_RINGS
    sector = 0
    for place, label in enumerate(labels):
        if label.family == "rate":
            expected[place] = totals[objects.index(label.object)]
        elif label.family in {"phi", "eta"}:
            expected[place] = sectors[sector]
            sector += 1
    assert sector == size * len(objects)
    good = (expected >= LEAST_SECTOR_COUNT) & np.isfinite(raw).all(axis=0) & (raw.std(axis=0) > 1e-6)
    return np.flatnonzero(good)


def fit_cells(sample: Sample) -> tuple[CellModel, ...]:
    """Fit the cell expectations of every object type."""
    degree = min(sample.degree, 2)
    return tuple(
        CellModel.fit(kind, rows, sample.pooled[kind], sample.pileup, degree, sample.members)
        for kind, rows in sample.rows.items()
    )
