"""Reads one ROOT file from end to end under one schema.  Runs in a child process that may die of it.

Whatever a damaged file makes uproot do, the daemon sees an answer or a dead child, never an exception of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from drift.schema import FeatureSchema
from drift.source.board import Board, present
from drift.source.checksum import check_sidecar, digests_of, sidecar_of
from drift.source.gather import SIMULATION_RUN, Candidates, Gathered, check_identity
from drift.source.naming import Block, block_of
from drift.source.refusal import NotReadyError, RefusedFileError
from drift.source.storage import Table, open_table

EVENTS = "Events"
NO_BUNCH_CROSSING = 0xFFFFFFFF
MET_BRANCHES = ("L1EtSum_hwPt", "L1EtSum_hwPhi", "L1EtSum_etSumType")
ZEROS_BYTES = 64


@dataclass(frozen=True)
class Content:
    """What one file holds, with events in the order of their lumisections.

    Attributes:
        sha256: Of its bytes.
        bytes: Its size.
        storage: ``"TTree"`` or ``"RNTuple"``.
        keys: (run, lumisection) pairs, ascending; shape (lumisections, 2).
        events: Events per lumisection.
        features: Shape (features, all events).
        objects: Per type: candidates per lumisection, then pt, eta and phi of every candidate.
        bits: Events in which each ``L1_*`` bit is set.
        notes: What an expert would want to know.
        board: Rows of the board's own output, see `drift.source.board.Board.arrays`; None when none was read out.
    """

    sha256: str
    bytes: int
    storage: str
    keys: NDArray[np.int64]
    events: NDArray[np.int64]
    features: NDArray[np.int16]
    objects: dict[str, tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]]
    bits: dict[str, int]
    notes: tuple[str, ...]
    board: dict[str, NDArray[Any]] | None = None


def parse(path: Path, schema: FeatureSchema, *, most_events: int, require_sidecar: bool, board: str = "") -> Content:
    """Return everything the schema asks of a file.

    Raises:
        NotReadyError: The file is not whole yet.
        RefusedFileError: It is whole and must not be used.
        Exception: Anything at all on a damaged file.
    """
    before = path.stat()
    if before.st_size == 0:
        raise NotReadyError(f"{path.name} is empty so far")
    found = digests_of(path)
    sidecar = sidecar_of(path)
    if sidecar is not None:
        check_sidecar(path, sidecar, found)
    elif require_sidecar:
        raise RefusedFileError(
            "sidecar_missing", f"{path.name} came without a checksum; put {path.name}.sha256 beside it"
        )
    with path.open("rb") as stream:
        head = stream.read(ZEROS_BYTES)
    if not any(head):
        raise NotReadyError(f"{path.name} begins with zeros: space is reserved, nothing is written yet")
    if not head.startswith(b"root"):
        raise RefusedFileError(
            "not_root", f"{path.name} begins with {head[:12]!r}, expected b'root': it is no ROOT file; fetch it again"
        )
    with uproot.open(path, handler=uproot.MemmapSource, object_cache=None, array_cache=None) as file:
        content = _read_file(path.name, file, schema, most_events, board)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns, after.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
        raise NotReadyError(f"{path.name} changed while it was read")
    return Content(found.sha256, found.bytes, *content)


def _read_file(name: str, file: Any, schema: FeatureSchema, most_events: int, output: str) -> tuple[Any, ...]:
    kinds = _newest(file)
    if not kinds:
        raise NotReadyError(f"{name} lists no objects: its writer has not closed it")
    if EVENTS not in kinds:
        raise RefusedFileError(
            "no_events_tree",
            f"{name} holds {', '.join(f'{key} ({kind})' for key, (_, kind) in sorted(kinds.items())[:6])}, expected a "
            f"TTree or RNTuple {EVENTS}: it is no CMS NanoAOD or L1Nano; deliver it elsewhere",
        )
    table = open_table(file, *kinds[EVENTS])
    if table.entries > most_events:
        raise RefusedFileError(
            "too_many_events", f"{name} claims {table.entries} events, at most {most_events} are read at once"
        )
    _check_branches(name, table, schema)
    board = Board(schema, output) if present(table, output) else None
    gathered, bits, bunch = _read_events(table, schema, board)
    run, lumisection = _joined(gathered.run, np.int64), _joined(gathered.lumisection, np.int64)
    event = _joined(gathered.event, np.uint64) if gathered.event or not table.entries else None
    claim = block_of(name)
    check_identity(run, lumisection, event, claim)
    keys, place = np.unique(np.stack([run, lumisection], axis=1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    keys, place, listed = _with_listed(name, file, kinds, keys, place, claim)
    if not len(keys):
        raise RefusedFileError(
            "empty",
            f"{name} holds 0 events and lists no lumisections, so there is nothing to judge; look whether it was cut",
        )
    order = np.argsort(place, kind="stable")
    events = np.bincount(place, minlength=len(keys)).astype(np.int64)
    features = (
        np.concatenate(gathered.features, axis=1)
        if gathered.features
        else np.zeros((len(schema.features), 0), np.int16)
    )
    ordered = features if np.array_equal(order, np.arange(len(order))) else features[:, order]
    objects = {kind: _by_lumisection(gathered.objects.get(kind, []), place, len(keys)) for kind in schema.objects}
    notes = _notes(keys, bunch, listed, claim)
    edges = np.concatenate([[0], np.cumsum(events)])
    rows = None if board is None else board.arrays(place, order, edges)
    return table.storage, keys, events, ordered, objects, bits, notes, rows


def _newest(file: Any) -> dict[str, tuple[str, str]]:
    """Return (key, class) of the highest cycle of every object in the file's top folder."""
    newest: dict[str, tuple[int, str, str]] = {}
    for key, kind in file.classnames(recursive=False, cycle=True).items():
        stem, _, cycle = key.rpartition(";")
        newest[stem] = max(newest.get(stem, (0, "", "")), (int(cycle), key, kind))
    return {stem: (key, kind) for stem, (_, key, kind) in newest.items()}


def _check_branches(name: str, table: Table, schema: FeatureSchema) -> None:
    for scalar in schema.scalars:
        if scalar not in table.names:
            code = "missing_lumisection" if scalar == "luminosityBlock" else "missing_branch"
            raise RefusedFileError(
                code,
                f"{name} has no branch {scalar}, so its events belong to no lumisection; have it written again",
            )
    needed = [branch for branches in schema.objects.values() for branch in branches.branches]
    missing = [
        branch
        for branch in (*needed, *(MET_BRANCHES if schema.sum_type is not None else ()))
        if branch not in table.names
    ]
    if not missing:
        return
    reduced = [
        branches.collection for branches in schema.objects.values() if f"{branches.collection}_pt" in table.names
    ]
    hardware = [branch for branch in needed if branch in table.names]
    if hardware:
        raise RefusedFileError(
            "missing_branch",
            f"{name} has {len(hardware)} of the L1Nano branches but not {', '.join(missing)}; write all of them",
        )
    cuts = ", ".join(f"{one.collection} {one.reduced_pt_gev} GeV" for one in schema.objects.values())
    what = f"{', '.join(reduced)} without hardware integers" if reduced else "no Level-1 object collections"
    raise RefusedFileError(
        "reduced_nanoaod",
        f"{name} is central NanoAOD: it has {what}, and central production keeps Level-1 objects only above cuts "
        f"({cuts}), so the {len(schema.features)} inputs as the trigger saw them cannot be rebuilt; neither watch nor "
        "train on it, deliver L1Nano",
    )


def _read_events(
    table: Table, schema: FeatureSchema, board: Board | None
) -> tuple[Gathered, dict[str, int], NDArray[np.int64]]:
    gathered = Gathered(schema)
    names = sorted(name for name in table.names if name.startswith("L1_"))
    bits = dict.fromkeys(names, 0)
    bunch: list[NDArray[Any]] = []
    for start, stop in table.ranges():

        def flat(name: str, start: int = start, stop: int = stop) -> NDArray[Any]:
            values = table.flat(name, start, stop)
            if values.dtype.kind not in "iub":
                raise RefusedFileError("wrong_type", f"{name} is stored as {values.dtype}, expected integers")
            return values

        candidates = {kind: _object(table, kind, schema, start, stop) for kind in schema.objects}
        if schema.sum_type is not None:
            candidates["MET"] = _sums(table, schema.sum_type, start, stop)
        event = flat("event") if "event" in table.names else None
        gathered.take(flat("run"), flat("luminosityBlock"), event, candidates)
        if board is not None:
            board.take(table, start, stop, candidates)
        if "bunchCrossing" in table.names:
            bunch.append(np.unique(flat("bunchCrossing")))
        for name in names:
            bits[name] += int(np.count_nonzero(flat(name)))
    return gathered, bits, _joined(bunch, np.int64)


def _object(table: Table, kind: str, schema: FeatureSchema, start: int, stop: int) -> Candidates:
    branches = schema.objects[kind]
    counts, (pt, eta, phi), bx = _columns(table, branches.collection, branches.branches, start, stop)
    return Candidates(counts, pt, eta, phi, bx, None)


def _sums(table: Table, wanted: int, start: int, stop: int) -> Candidates:
    counts, (pt, phi, kind), bx = _columns(table, "L1EtSum", MET_BRANCHES, start, stop)
    return Candidates(counts, pt, None, phi, bx, kind == wanted)


def _columns(
    table: Table, collection: str, names: tuple[str, ...], start: int, stop: int
) -> tuple[NDArray[np.int64], list[NDArray[Any]], NDArray[Any] | None]:
    """Read the columns of one collection and check that they agree on how many objects each event has."""
    bx = f"{collection}_bx"
    wanted = (*names, bx) if bx in table.names else names
    counts: NDArray[np.int64] | None = _stored_counts(table, collection, start, stop)
    columns = []
    for name in wanted:
        found, values = table.jagged(name, start, stop)
        if counts is not None and not np.array_equal(counts, found):
            raise RefusedFileError(
                "counts_mismatch",
                f"{name} has other numbers of objects per event than n{collection} or {wanted[0]}; the file is damaged",
            )
        counts = found
        columns.append(values)
    assert counts is not None
    return counts, columns[: len(names)], columns[len(names)] if len(wanted) > len(names) else None


def _stored_counts(table: Table, collection: str, start: int, stop: int) -> NDArray[np.int64] | None:
    counter = table.counter(f"n{collection}", start, stop)
    return None if counter is None else counter.astype(np.int64)


def _with_listed(
    name: str,
    file: Any,
    kinds: dict[str, tuple[str, str]],
    keys: NDArray[np.int64],
    place: NDArray[np.int64],
    claim: Block | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Add the lumisections that LuminosityBlocks lists without events; check that it lists those that have some."""
    if "LuminosityBlocks" not in kinds:
        return keys, place, False
    table = open_table(file, *kinds["LuminosityBlocks"])
    if not {"run", "luminosityBlock"} <= table.names:
        return keys, place, False
    columns = [
        _joined([table.flat(column, start, stop) for start, stop in table.ranges()], np.int64)
        for column in ("run", "luminosityBlock")
    ]
    check_identity(columns[0], columns[1], None, claim)
    pairs = np.stack(columns, axis=1)
    listed = np.unique(pairs, axis=0)
    if len(listed) != len(pairs):
        raise RefusedFileError(
            "lumisections_disagree", f"{name}: LuminosityBlocks lists a lumisection twice; the file is damaged"
        )
    known = {(int(run), int(lumisection)) for run, lumisection in listed}
    unlisted = [(int(run), int(lumisection)) for run, lumisection in keys if (int(run), int(lumisection)) not in known]
    if unlisted:
        raise RefusedFileError(
            "lumisections_disagree",
            f"{name}: Events has run {unlisted[0][0]} lumisection {unlisted[0][1]}, which LuminosityBlocks lacks; "
            "the file is damaged",
        )
    rows = {pair: row for row, pair in enumerate(map(tuple, listed.tolist()))}
    moved = np.array([rows[pair] for pair in map(tuple, keys.tolist())], dtype=np.int64)
    return listed, moved[place] if len(place) else place, True


def _by_lumisection(
    parts: list[tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]],
    place: NDArray[np.int64],
    lumisections: int,
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """Return candidates per lumisection and the candidates' values in the order of lumisections."""
    counts = _joined([part[0] for part in parts], np.int64)
    pt, eta, phi = (_joined([part[column] for part in parts], np.int16) for column in (1, 2, 3))
    owner = np.repeat(place, counts) if len(counts) else np.zeros(0, np.int64)
    sorting = np.argsort(owner, kind="stable")
    return np.bincount(owner, minlength=lumisections).astype(np.int64), pt[sorting], eta[sorting], phi[sorting]


def _notes(keys: NDArray[np.int64], bunch: NDArray[np.int64], listed: bool, claim: Block | None) -> tuple[str, ...]:
    notes: list[str] = []
    if (keys[:, 0] == SIMULATION_RUN).any() or (bunch == NO_BUNCH_CROSSING).any():
        notes.append("simulation (run 1 or no bunch crossing), not recorded data")
    if claim is not None:
        absent = sorted(set(range(claim.first, claim.last + 1)) - set(keys[:, 1].tolist()))
        if absent:
            notes.append(
                f"the name claims lumisections {claim.first}-{claim.last}, {len(absent)} are absent (first {absent[0]})"
            )
    if not listed:
        notes.append("no LuminosityBlocks, so lumisections without events cannot be seen")
    return tuple(notes)


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([part.astype(dtype) for part in parts]) if parts else np.zeros(0, dtype)
