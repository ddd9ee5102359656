"""The record as it leaves the host: JSON lines that anybody can check with public keys alone.

A segment is one line that names the format, the number of its first fact and the ids of the keys that signed heads in
it; then the facts, one a line; then the signed head over everything up to its last fact.  A whole export is a segment
that begins at 1; a folder of segments is the same in parts.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.errors import LedgerError
from daemon.ledger import Ledger
from daemon.lifecycle import HeadSigned
from daemon.lifecycle.codec import canonical, parse
from daemon.output import writing
from daemon.record.heads import TreeHead, sign_head
from daemon.record.keys import OwnKey
from daemon.record.merkle import Tree

FORMAT = "retrigger-record/1"


def grow(tree: Tree, ledger: Ledger) -> list[str]:
    """Add to a tree the facts that were recorded since, and return their hashes.

    Raises:
        LedgerError: The ledger's chain has a gap or a hash that is none.
    """
    added = []
    for sequence, this in ledger.hashes(after=len(tree)):
        if sequence != len(tree) + 1 or len(this) != 64:
            raise LedgerError(
                f"record {sequence}: found where number {len(tree) + 1} belongs, or its hash is none; no head is "
                "signed over a broken record, run `retrigger audit verify`"
            )
        tree.add(bytes.fromhex(this))
        added.append(this)
    return added


def head_of(tree: Tree, chain: str, at: datetime) -> TreeHead:
    """Return the head over a whole tree; `chain` is the hash of its last fact."""
    return TreeHead(size=len(tree), root=tree.root().hex(), chain=chain, at=at)


def segment(
    records: Iterable[Mapping[str, Any]], first: int, head: Mapping[str, Any], keyids: set[str]
) -> Iterator[bytes]:
    """Yield the lines of a segment.

    Args:
        records: Its facts, from `first` on, as `Ledger.records` yields them.
        first: Number of the first one.
        head: The signed head, in its envelope.
        keyids: Ids of the keys that signed this head and the heads among the facts.
    """
    yield canonical({"record": {"first": first, "format": FORMAT, "keys": sorted(keyids)}}) + b"\n"
    for record in records:
        yield canonical(record) + b"\n"
    yield canonical({"head": head}) + b"\n"


def signers(head: Mapping[str, Any], ledger: Ledger, after: int, last: int) -> set[str]:
    """Return the ids of the keys that signed a head, and the heads among the facts above `after` up to `last`."""
    stored = ledger.facts(kind=HeadSigned.kind, after=after)
    heads = [one.fact.envelope for one in stored if one.sequence <= last and isinstance(one.fact, HeadSigned)]
    return {str(one["keyid"]) for each in (head, *heads) for one in each["signatures"]}


def write_export(ledger: Ledger, path: Path, key: OwnKey) -> TreeHead:
    """Write the whole record, closed by a head signed now; the file appears whole or not at all.

    The head bears the latest time of any fact, so equal records give equal files.

    Raises:
        LedgerError: There is no fact yet, or the chain is broken.
        SetupError: The file cannot be written.
    """
    tree = Tree()
    hashes, at = grow(tree, ledger), ledger.clock()
    if not hashes or at is None:
        raise LedgerError("the record holds no fact yet, so there is nothing to export")
    head = head_of(tree, hashes[-1], at)
    envelope = sign_head(head, key)
    keyids = signers(envelope, ledger, 0, head.size)
    with writing(path, "the record") as sink:
        for line in segment(ledger.records(0, head.size), 1, envelope, keyids):
            sink.write(line)
    return head


def last_head(path: Path) -> Any:
    """Return the envelope of the head that a file holds: alone, or as the last line of an export.

    Raises:
        ValueError: The last line is no JSON.
    """
    lines = path.read_bytes().splitlines()
    tree = parse(lines[-1]) if lines else {}
    return tree.get("head", tree) if isinstance(tree, dict) else tree
