"""Give a declared change constants of its own, for its interval only.

A declared calibration moves what is expected from its first lumisection on.  Of the declared objects the constants of
every template are fitted again from certified lumisections inside the interval; slopes, spreads, and everything about
other objects and other times stay bit for bit.  There is no way to let a reference roll along with the data: what
follows the detector absorbs its faults.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from drift.breach import column_objects, elsewhere
from drift.conditions import Conditions, DeclaredChange
from drift.conditions.declared import OBJECTS
from drift.errors import ReferenceUnfitError
from drift.fit import LEAST_EVENTS
from drift.profile import LumisectionSummary, layout_of
from drift.reference import Reference
from drift.score_streams import SCORE, ScoreModel
from drift.standing import Rebaselined
from drift.streams import ETA_RINGS, PHI_SECTORS, Floats, ScorePart, Template, merged_counts, sector_counts
from drift.succession import fill_of

LEAST_FILLS = 2
LEAST_LUMISECTIONS = 60
NEWTON_STEPS = 20


@dataclass(eq=False)
class _Sums:
    """Observed and expected counts of every column of every template, summed over lumisections, shape ``(2, n)``."""

    shares: Floats
    rates: Floats
    sectors: Floats
    columns: Floats
    rows: tuple[Floats, ...]
    score: tuple[Floats, Floats] | None
    scored: bool = True

    @classmethod
    def empty(cls, reference: Reference) -> "_Sums":
        templates = (reference.streams.shares, reference.streams.rates, reference.streams.sectors)
        sizes = [one.coefficients.shape[1] for one in (*templates, reference.promises.elsewhere)]
        rows = tuple(np.zeros((2, len(one.modulation))) for one in reference.cells)
        shares, rates, sectors, columns = (np.zeros((2, size)) for size in sizes)
        model = reference.streams.score
        score = None
        if isinstance(model, ScoreModel):
            score = (np.zeros((2, model.direction.size)), np.zeros((2, 1 + len(model.names))))
        return cls(shares, rates, sectors, columns, rows, score)

    def add(self, view: Reference, summary: LumisectionSummary, pileup: float) -> None:
        """Add one lumisection under its view."""
        streams, seen = view.streams, view.looked_at(summary)
        bins = streams.owner.size
        self.shares[0] += merged_counts(seen.counts, streams.merged, bins)
        self.shares[1] += streams.expected_bins(seen.events, pileup)
        totals = np.array([float(seen.maps[kind].sum()) for kind in streams.objects])
        self.rates[0] += totals
        self.rates[1] += streams.rates.at(pileup) * seen.events
        self.sectors[0] += sector_counts(seen.maps, streams.objects, streams.rings)
        self.sectors[1] += streams.sectors.at(pileup) * np.repeat(totals, PHI_SECTORS + ETA_RINGS)
        self.columns[0] += elsewhere(layout_of(view.schema), view.promises.usual, seen.counts)
        self.columns[1] += view.promises.elsewhere.at(pileup) * seen.events
        self._add_scores(view, summary, pileup)
        for rows, one in zip(self.rows, view.cells, strict=True):
            rows[0] += seen.maps[one.name].sum(axis=1)
            rows[1] += one.expected(float(seen.maps[one.name].sum()), pileup).sum(axis=1)

    def _add_scores(self, view: Reference, summary: LumisectionSummary, pileup: float) -> None:
        model, scores = view.streams.score, summary.scores
        if not isinstance(model, ScoreModel) or self.score is None:
            return
        if scores is None or model.silence(scores):
            self.scored = False  # nothing is known of some of it: the score stays silent inside the interval
            return
        bins, passed = model.counted(scores)
        expected = (model.expected_bins(summary.events, pileup), model.passes.at(pileup) * summary.events)
        for sums, seen, due in zip(self.score, (bins, passed), expected, strict=True):
            sums[0] += seen
            sums[1] += due


def rebaseline(
    reference: Reference, change: DeclaredChange, pairs: Iterable[tuple[LumisectionSummary, Conditions]]
) -> Reference:
    """Return a reference that also knows what is expected inside the interval of a declared change.

    Only usable, certified lumisections inside it count.  A change of which nobody said what it touches gets constants
    for every object.

    Args:
        reference: The reference in force.
        change: The declared change.
        pairs: One summary and its conditions a lumisection, in any order; those outside the interval are passed over.

    Raises:
        ReferenceUnfitError: Too few fills or lumisections inside the interval, a change that touches nothing, or one
            that the reference knows already.
    """
    objects = change.objects or (() if change.region is None else (change.region.object,))
    if change.unscoped:
        objects = OBJECTS
    if not objects:
        raise ReferenceUnfitError(
            f"{change.kind} {change.id} declares no objects: it moves no zero-bias input, so there is nothing to fit"
        )
    if change.id in reference.settled or any(one.id == change.id for one in reference.rebaselined):
        raise ReferenceUnfitError(f"the reference knows {change.id} already; start from its parent to fit it anew")
    sums, fills = _Sums.empty(reference), dict[int, int]()
    own = Rebaselined(change.id, change.first, change.last, tuple(objects), change.region, (), 1, 0.0)
    inside = replace(reference, rebaselined=(*reference.rebaselined, own))
    inside = _appended(inside, _Sums.empty(reference), objects)
    passed = 0
    for summary, conditions in pairs:
        if not change.holds((summary.run, summary.lumisection)):
            continue
        if not _good(reference, summary, conditions):
            passed += 1
            continue
        assert conditions.pileup is not None
        view = inside.at(conditions)
        if view.quiet is not None and view.quiet.objects & {*objects}:
            passed += 1  # another change silences them there
            continue
        fill = fill_of(conditions)
        fills[fill] = fills.get(fill, 0) + 1
        sums.add(view, summary, conditions.pileup)
    count = sum(fills.values())
    if len(fills) < LEAST_FILLS or count < LEAST_LUMISECTIONS:
        raise ReferenceUnfitError(
            f"re-baselining {change.id} needs {LEAST_FILLS} fills and {LEAST_LUMISECTIONS} usable, certified "
            f"lumisections inside its interval; found {len(fills)} fills and {count} lumisections ({passed} left out "
            "as not certified, not usable, outside the reference or under another change); wait for more of them"
        )
    sizes = np.array(list(fills.values()), dtype=np.float64)
    own = replace(own, fills=tuple(sorted(fills)), lumisections=count, share=float((sizes**2).sum() / sizes.sum() ** 2))
    if sums.score is not None and sums.scored:
        own = replace(own, objects=(*objects, SCORE))
    found = replace(reference, rebaselined=(*reference.rebaselined, own), parent=reference.digest)
    return _appended(found, sums, objects).digested()


def _good(reference: Reference, summary: LumisectionSummary, conditions: Conditions) -> bool:
    if not conditions.usable or conditions.pileup is None or conditions.certified is not True:
        return False
    if summary.schema_digest != reference.schema.digest:
        raise ReferenceUnfitError(
            f"run {summary.run} lumisection {summary.lumisection} was counted under another schema than the reference "
            f"({reference.schema.name}); count it again"
        )
    known = reference.pileup_low <= conditions.pileup <= reference.pileup_high
    return known and summary.events >= LEAST_EVENTS and not reference.strata.lacks(conditions)


def _appended(reference: Reference, sums: _Sums, objects: tuple[str, ...]) -> Reference:
    """Return a reference whose templates have one row of shifts more: those of the declared objects, nothing else."""
    layout, streams = layout_of(reference.schema), reference.streams
    of_bins = tuple(layout.histograms[int(one)].object for one in streams.owner)
    of_sectors = tuple(kind for kind in streams.objects for _ in range(PHI_SECTORS + ETA_RINGS))
    streams = replace(
        streams,
        shares=_with_row(streams.shares, sums.shares, of_bins, objects),
        rates=_with_row(streams.rates, sums.rates, streams.objects, objects),
        sectors=_with_row(streams.sectors, sums.sectors, of_sectors, objects),
        score=_with_score_row(streams.score, sums),
    )
    promised = _with_row(reference.promises.elsewhere, sums.columns, column_objects(layout), objects)
    cells = []
    for one, rows in zip(reference.cells, sums.rows, strict=True):
        rings = _with_row(one.rings, rows, (one.object,) * rows.shape[1], objects)
        own = rows[0] if one.object in objects else np.full(rows.shape[1], np.inf)
        known = one.rows if one.rows.size else np.zeros((0, rows.shape[1]))
        cells.append(replace(one, rings=rings, rows=np.concatenate([known, own[None, :]])))
    promises = replace(reference.promises, elsewhere=promised)
    return replace(reference, streams=streams, cells=tuple(cells), promises=promises)


def _with_score_row(model: ScorePart | None, sums: _Sums) -> ScorePart | None:
    if not isinstance(model, ScoreModel) or sums.score is None:
        return model
    known = (SCORE,) if sums.scored else ()
    shares, passes = (
        _with_row(template, one, (SCORE,) * one.shape[1], known)
        for template, one in zip((model.shares, model.passes), sums.score, strict=True)
    )
    return replace(model, shares=shares, passes=passes)


def _with_row(template: Template, sums: Floats, of: tuple[str, ...], objects: tuple[str, ...]) -> Template:
    mine = np.array([kind in objects for kind in of])
    row = np.where(mine, shift(sums[0], sums[1]), 0.0)
    known = template.shifts if template.shifts.size else np.zeros((0, row.size))
    return replace(template, shifts=np.concatenate([known, row[None, :]]))


def shift(observed: Floats, expected: Floats) -> Floats:
    """Return what is added to the logarithm of each expectation, of largest Poisson likelihood.

    The weak prior of one unit of logarithm, as `Template.fit` has it, keeps columns tame in which little is expected.

    Args:
        observed: Counts, shape ``(n,)``.
        expected: Of each.
    """
    found = np.zeros_like(observed)
    for _ in range(NEWTON_STEPS):
        mean = expected * np.exp(found)
        found += np.clip((observed - mean - found) / (mean + 1.0), -1.0, 1.0)
    return found
