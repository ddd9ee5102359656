"""Columns of one table of a ROOT file, whether a TTree or an RNTuple holds it.

Only the columns asked for are read, in ranges of bounded size.  RNTuple columns are read by whole clusters straight
from the page lists: uproot's own form of a 1900-field RNTuple costs 10 CPU-seconds, and its `iterate` inflates a
cluster again for every step.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Protocol

import awkward as ak
import numpy as np
import uproot
import xxhash
from numpy.typing import NDArray

from drift.source.refusal import RefusedFileError

BATCH_EVENTS = 100_000
CHECKSUM_BYTES = 8
_INDEX_TYPES = frozenset(uproot.const.rntuple_index_types)
Jagged = tuple[NDArray[np.int64], NDArray[Any]]


class Table(Protocol):
    """Some columns of equal length."""

    storage: str
    names: frozenset[str]
    entries: int

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield entry ranges that are cheap to read one after the other."""

    def flat(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return one value per entry."""

    def jagged(self, name: str, start: int, stop: int) -> Jagged:
        """Return how many values each entry has, and the values."""

    def counter(self, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """Return the stored number of objects per entry, or None where the file has none of its own."""


def open_table(directory: Any, key: str, kind: str) -> Table:
    """Return the table that a key of a file holds.

    Raises:
        RefusedFileError: It is neither a TTree nor an RNTuple.
    """
    if kind == "TTree":
        return TreeTable(directory[key])
    if kind == "ROOT::RNTuple":
        return TupleTable(directory[key])
    raise RefusedFileError(
        "not_a_table", f"{key} is a {kind}, expected a TTree or an RNTuple; name the right object Events"
    )


class TreeTable:
    """A TTree."""

    storage = "TTree"

    def __init__(self, tree: Any) -> None:
        self._branches = {branch.name: branch for branch in tree.branches}
        self.names = frozenset(self._branches)
        self.entries = int(tree.num_entries)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """See `Table.ranges`."""
        for start in range(0, self.entries, BATCH_EVENTS):
            yield start, min(start + BATCH_EVENTS, self.entries)

    def flat(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """See `Table.flat`."""
        values = self._branches[name].array(entry_start=start, entry_stop=stop, library="np")
        return _flat(name, values, stop - start)

    def jagged(self, name: str, start: int, stop: int) -> Jagged:
        """See `Table.jagged`."""
        array = self._branches[name].array(entry_start=start, entry_stop=stop, library="ak")
        if array.ndim != 2:
            raise RefusedFileError("wrong_type", f"{name} has {array.ndim} dimensions, expected a list per event")
        counts = ak.to_numpy(ak.num(array)).astype(np.int64)
        return _jagged(name, counts, ak.to_numpy(ak.flatten(array)), stop - start)

    def counter(self, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """See `Table.counter`."""
        return self.flat(name, start, stop) if name in self._branches else None


class TupleTable:
    """An RNTuple, with collections of records (``L1Jet`` of ``hwPt``) or one list per name (``L1Jet_hwPt``)."""

    storage = "RNTuple"

    def __init__(self, ntuple: Any) -> None:
        self._ntuple = ntuple
        self._records = ntuple.field_records
        self._children: dict[int, list[int]] = defaultdict(list)
        top: dict[str, int] = {}
        for field, record in enumerate(self._records):
            if record.parent_field_id == field:
                top[record.field_name] = field
            else:
                self._children[record.parent_field_id].append(field)
        self._columns: dict[int, int] = {}
        for column, record in reversed(list(enumerate(ntuple.column_records))):
            self._columns[record.field_id] = column
        for alias in ntuple.alias_column_records:
            self._columns[alias.field_id] = alias.physical_id
        self._top = top
        self._leaves = self._find_leaves()
        self.names = frozenset(top) | frozenset(self._leaves)
        self._clusters = [(int(one.num_first_entry), int(one.num_entries)) for one in ntuple.cluster_summaries]
        self.entries = sum(entries for _, entries in self._clusters)
        self._check_clusters()

    def _find_leaves(self) -> dict[str, tuple[int, int]]:
        """Return (offsets field, values field) by the name a TTree would have for them."""
        leaves = {}
        for name, field in self._top.items():
            for item in self._children[field]:
                members = self._children[item]
                if not members:
                    leaves[name] = (field, item)
                for member in members:
                    leaves.setdefault(f"{name}_{self._records[member].field_name}", (field, member))
        return leaves

    def _check_clusters(self) -> None:
        expected = 0
        for first, entries in self._clusters:
            if first != expected or entries < 0:
                raise RefusedFileError(
                    "unreadable",
                    f"a cluster starts at entry {first}, expected {expected}: the page lists are damaged",
                )
            expected += entries

    def ranges(self) -> Iterator[tuple[int, int]]:
        """See `Table.ranges`; each range is one cluster."""
        for first, entries in self._clusters:
            yield first, first + entries

    def flat(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """See `Table.flat`."""
        return _flat(name, self._read(self._top[name], name, start, stop), stop - start)

    def jagged(self, name: str, start: int, stop: int) -> Jagged:
        """See `Table.jagged`."""
        if name not in self._leaves:
            raise RefusedFileError("wrong_type", f"{name} holds one value per event, expected a list")
        outer, inner = self._leaves[name]
        offsets = self._read(outer, name, start, stop, offsets=True).astype(np.int64)
        if len(offsets) != stop - start + 1 or (len(offsets) and offsets[0] != 0):
            raise RefusedFileError(
                "counts_mismatch", f"{name} has {len(offsets) - 1} offsets for {stop - start} events"
            )
        return _jagged(name, np.diff(offsets), self._read(inner, name, start, stop), stop - start)

    def counter(self, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """See `Table.counter`; a cardinality field only repeats the offsets and is no counter of its own."""
        field = self._top.get(name)
        if field is None or "Cardinality" in self._records[field].type_name:
            return None
        return self.flat(name, start, stop)

    def _read(self, field: int, name: str, start: int, stop: int, *, offsets: bool = False) -> NDArray[Any]:
        column = self._columns.get(field)
        if column is None:
            raise RefusedFileError("wrong_type", f"{name} has no column of its own; expected plain numbers")
        record = self._ntuple.column_records[column]
        if (record.type in _INDEX_TYPES) is not offsets:
            raise RefusedFileError(
                "wrong_type",
                f"{name} has a column of RNTuple type {record.type}, expected {'offsets' if offsets else 'numbers'}",
            )
        if getattr(record, "first_element_index", 0):
            raise RefusedFileError(
                "wrong_type", f"{name} was added after the first events were written; expected every event to have it"
            )
        cluster = next(
            i for i, (first, entries) in enumerate(self._clusters) if (first, first + entries) == (start, stop)
        )
        self._check_pages(name, cluster, column)
        values: NDArray[Any] = self._ntuple.read_cluster_range(column, cluster, cluster + 1)
        return values

    def _check_pages(self, name: str, cluster: int, column: int) -> None:
        """Compare pages with the XXH3 that ROOT writes behind each; uproot neither writes nor checks them."""
        columns = self._ntuple.page_link_list[cluster]
        for page in columns[column].pages if column < len(columns) else ():
            if not page.has_checksum:
                continue
            start, stop = page.locator.offset, page.locator.offset + page.locator.num_bytes
            raw = bytes(self._ntuple.file.source.chunk(start, stop + CHECKSUM_BYTES).raw_data)
            if xxhash.xxh3_64_intdigest(raw[:-CHECKSUM_BYTES]) != int.from_bytes(raw[-CHECKSUM_BYTES:], "little"):
                raise RefusedFileError("unreadable", f"{name} has a page that differs from its own checksum")


def _flat(name: str, values: NDArray[Any], entries: int) -> NDArray[Any]:
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise RefusedFileError(
            "wrong_type", f"{name} is a {values.ndim}-dimensional {values.dtype}, expected one number per event"
        )
    if len(values) != entries:
        raise RefusedFileError("counts_mismatch", f"{name} has {len(values)} values for {entries} events")
    return values


def _jagged(name: str, counts: NDArray[np.int64], values: NDArray[Any], entries: int) -> Jagged:
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise RefusedFileError("wrong_type", f"{name} holds {values.dtype}, expected numbers")
    if len(counts) != entries or (entries and counts.min() < 0) or counts.sum() != len(values):
        raise RefusedFileError(
            "counts_mismatch",
            f"{name} has counts for {len(counts)} of {entries} events adding to {counts.sum()} of {len(values)} values",
        )
    return counts, values
