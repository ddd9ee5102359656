"""Summaries as boost-histograms and UHI JSON, and back bit for bit: for hist, mplhep, and whoever plots.

Every feature is an Integer axis whose two flow bins are the summary's bins for out of range, so nothing is lost.  With
weights a name holds Σw and Σw² (Weight storage) and its twin under ``unweighted/`` the counts.  The histogram
``events`` says in its metadata which schema and lumisections these are.  Nothing here counts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import boost_histogram as bh
import numpy as np
from boost_histogram.serialization import from_uhi, to_uhi
from numpy.typing import NDArray

from drift.errors import SummaryError
from drift.layout import HT_STEP, Layout, MapGrid, layout_of
from drift.schema import PT_LSB_GEV, SCHEMAS, FeatureSchema
from drift.score_bins import SCORE_CELLS, ScoreCounts, Threshold, checked_thresholds, score_edges
from drift.text_forms import json_of, why
from drift.weights import Weighted, checked_scale, steps

Counts = NDArray[np.int64]
Histograms = Mapping[str, bh.Histogram[Any]]

ABOUT = "retrigger"
TWIN = "unweighted/"


class Counted(Protocol):
    """What a lumisection summary shows of itself."""

    @property
    def schema_digest(self) -> str: ...  # noqa: D102 told at LumisectionSummary
    @property
    def lumisections(self) -> tuple[tuple[int, int], ...]: ...  # noqa: D102 the same
    @property
    def flat(self) -> Counts: ...  # noqa: D102 the same
    @property
    def maps(self) -> Mapping[str, Counts]: ...  # noqa: D102 the same
    @property
    def scores(self) -> ScoreCounts | None: ...  # noqa: D102 the same
    @property
    def weighted(self) -> Weighted | None: ...  # noqa: D102 the same


@dataclass(frozen=True)
class _Place:
    """One histogram: its axis, and its cells in the flat row."""

    name: str
    axis: bh.axis.Axis
    cells: slice


def to_boost(summary: Counted, schema: FeatureSchema | None = None) -> dict[str, bh.Histogram[Any]]:
    """Return every histogram and map by name.

    Args:
        summary: Of one lumisection or many.
        schema: The schema it was counted under, when it is not a declared one.

    Raises:
        SummaryError: The schema is not known, or another one.
    """
    schema = _schema(summary.schema_digest, schema)
    thresholds = summary.scores.thresholds if summary.scores is not None else None
    about = {
        "schema": summary.schema_digest,
        "lumisections": summary.lumisections,
        "thresholds": thresholds,
        "scorer": summary.scores.scorer if summary.scores is not None else "",
        "weight_scale": summary.weighted.scale.hex() if summary.weighted is not None else None,
    }
    out: dict[str, bh.Histogram[Any]] = {}
    for place in _places(schema, thresholds):
        traits = {"name": place.name, "schema": schema.name}
        if place.name == "events":
            traits[ABOUT] = json.dumps(about, separators=(",", ":"))
        plain = bh.Histogram(place.axis, storage=bh.storage.Int64(), __dict__=dict(traits))
        plain.view(flow=True)[...] = summary.flat[place.cells]
        if summary.weighted is None:
            out[place.name] = plain
            continue
        weighted = bh.Histogram(place.axis, storage=bh.storage.Weight(), __dict__=dict(traits))
        view = weighted.view(flow=True)
        view["value"], view["variance"] = summary.weighted.sums[:, place.cells]
        out[place.name], out[TWIN + place.name] = weighted, plain
    for grid in layout_of(schema).maps:
        name = f"map_{grid.name}"
        one = bh.Histogram(*_map_axes(grid), storage=bh.storage.Int64(), __dict__={"name": name, "schema": schema.name})
        one.view()[...] = summary.maps[grid.name]
        out[name] = one
    return out


def parts_of(histograms: Histograms, schema: FeatureSchema | None = None) -> dict[str, Any]:
    """Return what a summary is made of, from the histograms that `to_boost` made of it.

    Raises:
        SummaryError: A histogram is missing, on another axis, or holds what no counting can give.
    """
    about = _about(histograms)
    schema = _schema(about["schema"], schema)
    layout = layout_of(schema)
    thresholds = None if about["thresholds"] is None else checked_thresholds(about["thresholds"])
    scale = None if about["weight_scale"] is None else checked_scale(float.fromhex(about["weight_scale"]))
    places = list(_places(schema, thresholds))
    flat = np.zeros(places[-1].cells.stop, dtype=np.int64)
    sums = np.zeros((2, flat.size))
    for place in places:
        twin = place.name if scale is None else TWIN + place.name
        flat[place.cells] = _whole(histograms, twin, (place.axis,))
        if scale is not None:
            sums[:, place.cells] = _weights(histograms, place, scale)
        if place.name not in {"events", "passed"} and flat[place.cells].sum() != flat[0]:
            raise SummaryError(
                f"histogram {twin!r} has {flat[place.cells].sum()} entries of {flat[0]} events; export anew"
            )
    maps = {grid.name: _whole(histograms, f"map_{grid.name}", _map_axes(grid)) for grid in layout.maps}
    end = 1 + layout.size
    scores = None
    if thresholds is not None:
        scores = ScoreCounts(thresholds, flat[end : end + SCORE_CELLS], flat[end + SCORE_CELLS :], about["scorer"])
    return {
        "schema_digest": about["schema"],
        "lumisections": tuple((int(run), int(lumisection)) for run, lumisection in about["lumisections"]),
        "events": int(flat[0]),
        "counts": flat[1:end],
        "maps": maps,
        "scores": scores,
        "weighted": None if scale is None else Weighted(scale, sums).checked(int(flat[0])),
    }


def to_json(histograms: Histograms) -> str:
    """Return UHI JSON, as `uhi.io.json` and hist read it: one object of histograms by name."""
    tree = {name: to_uhi(one) for name, one in histograms.items()}
    return json.dumps(tree, default=_plain, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> dict[str, bh.Histogram[Any]]:
    """Return the histograms in UHI JSON.

    Raises:
        SummaryError: It is no JSON, or no histograms.
    """
    try:
        return {name: from_uhi(one) for name, one in json_of(text).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise SummaryError(f"this is no UHI JSON of histograms ({why(cause)}); export the summary again") from cause


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in UHI JSON")


def _places(schema: FeatureSchema, thresholds: tuple[Threshold, ...] | None) -> Iterator[_Place]:
    """Every one-dimensional histogram in the order of the flat row."""
    yield _Place(
        "events", bh.axis.Integer(0, 1, underflow=False, overflow=False, __dict__=_words("events")), slice(0, 1)
    )
    layout = layout_of(schema)
    units = _units(schema, layout)
    for one in layout.histograms:
        axis = bh.axis.Integer(one.low, one.low + one.width, __dict__=_words(one.name, units[one.name]))
        yield _Place(one.name, axis, slice(one.bins.start + 1, one.bins.stop + 1))
    if thresholds is not None:
        end = 1 + layout.size
        fine = bh.axis.Variable(score_edges(), __dict__=_words("score", "1/16"))
        yield _Place("score", fine, slice(end, end + SCORE_CELLS))
        names = bh.axis.StrCategory([one.name for one in thresholds], overflow=False, __dict__=_words("passed"))
        yield _Place("passed", names, slice(end + SCORE_CELLS, end + SCORE_CELLS + len(thresholds)))


def _units(schema: FeatureSchema, layout: Layout) -> dict[str, str]:
    derived = {"count": "objects", "sum": f"{HT_STEP * PT_LSB_GEV:g} GeV", "angle": "2 pi / 144, last: not both there"}
    return {one.name: derived.get(one.quantity, "") for one in layout.histograms} | {
        one.name: one.unit for one in schema.features
    }


def _words(name: str, unit: str = "") -> dict[str, Any]:
    return {"name": name, "label": f"{name} [{unit}]" if unit else name, "unit": unit}


def _map_axes(grid: MapGrid) -> tuple[bh.axis.Regular, bh.axis.Regular]:
    rows, columns = grid.shape
    low, step = grid.eta_low * grid.eta_lsb, grid.eta_step * grid.eta_lsb
    turn = 2 * np.pi
    eta = _words("eta") | {"hardware_low": grid.eta_low, "hardware_step": grid.eta_step, "hardware_lsb": grid.eta_lsb}
    lsb = turn / (columns * grid.phi_step)
    phi = _words("phi", "rad") | {"hardware_low": 0, "hardware_step": grid.phi_step, "hardware_lsb": lsb}
    return (
        bh.axis.Regular(rows, low, low + rows * step, underflow=False, overflow=False, __dict__=eta),
        bh.axis.Regular(columns, 0.0, turn, underflow=False, overflow=False, __dict__=phi),
    )


def _schema(digest: str, given: FeatureSchema | None) -> FeatureSchema:
    for one in (given,) if given is not None else SCHEMAS.values():
        if one.digest == digest:
            return one
    known = given.name if given is not None else ", ".join(SCHEMAS)
    raise SummaryError(f"the summary was counted under schema {digest[:12]}, which is none of {known}; give its schema")


def _about(histograms: Histograms) -> dict[str, Any]:
    one = histograms.get("events")
    text = vars(one).get(ABOUT) if one is not None else None
    if not isinstance(text, str):
        raise SummaryError("there is no histogram 'events' with retrigger's metadata; give all that to_boost returned")
    try:
        about = json_of(text)
        keys = ("schema", "lumisections", "thresholds", "weight_scale")
        return {key: about[key] for key in keys} | {"scorer": str(about.get("scorer", ""))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise SummaryError(
            f"the metadata of histogram 'events' are damaged ({why(cause)}); export the summary again"
        ) from cause


def _taken(histograms: Histograms, name: str, axes: tuple[bh.axis.Axis, ...]) -> Any:
    """The cells of a histogram, flow included, after its axes were found to be the layout's."""
    if name not in histograms:
        raise SummaryError(f"histogram {name!r} is missing; give all that to_boost returned")
    found = histograms[name]
    same = len(found.axes) == len(axes) and all(
        one.extent == other.extent and one.size == other.size and list(one) == list(other)
        for one, other in zip(found.axes, axes, strict=True)
    )
    if not same:
        raise SummaryError(f"histogram {name!r} has axes {found.axes}, expected {axes}; do not rebin or slice it")
    return found.view(flow=True)


def _whole(histograms: Histograms, name: str, axes: tuple[bh.axis.Axis, ...]) -> Counts:
    cells = np.asarray(_taken(histograms, name, axes))
    if cells.dtype.names is not None or (cells < 0).any() or not np.array_equal(cells, np.rint(cells)):
        raise SummaryError(f"histogram {name!r} does not hold counts but {cells.dtype}; do not scale or weight it")
    return cells.astype(np.int64)


def _weights(histograms: Histograms, place: _Place, scale: float) -> NDArray[np.float64]:
    cells = _taken(histograms, place.name, (place.axis,))
    if cells.dtype.names is None:
        raise SummaryError(f"histogram {place.name!r} has no weights, the others have; give all that to_boost returned")
    pair = np.stack([np.asarray(cells["value"]), np.asarray(cells["variance"])])
    whole = pair / steps(scale)
    if not np.array_equal(whole, np.rint(whole)):
        raise SummaryError(f"histogram {place.name!r} holds weights that are not of scale {scale:g}; do not scale it")
    return pair
