"""Whether an exported record is whole: chain, Merkle heads, signatures, and that nothing was cut off.

Needs the export and public keys, nothing else.  Every bit of an export is either checked or refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.errors import FactError, RecordKeyError, SignatureRefusedError
from daemon.ledger import GENESIS, StoredFact, check_record, stored
from daemon.lifecycle import HeadSigned
from daemon.lifecycle.codec import canonical, parse
from daemon.record.heads import TreeHead, open_head
from daemon.record.keys import PublicKey
from daemon.record.merkle import Tree, consistent
from daemon.record.written import FORMAT, last_head

MANY = 50
"""More problems than this are not told one by one."""


@dataclass
class Checked:
    """What a check found.

    Attributes:
        problems: One sentence each; empty for a whole record.
        facts: How many facts were read.
        heads: How many signed heads held.
        last: The head at the end, None when there is none that holds.
        told: The facts, when they were asked for.
    """

    problems: list[str] = field(default_factory=list)
    facts: int = 0
    heads: int = 0
    last: TreeHead | None = None
    told: list[StoredFact] = field(default_factory=list)


def read_head(path: Path, keys: Sequence[PublicKey]) -> TreeHead:
    """Return a head that was kept elsewhere: a file with its envelope, or an export that it closes.

    Raises:
        RecordKeyError: The file holds no head, or its signature does not hold under these keys.
    """
    try:
        return open_head(last_head(path), keys)[0]
    except (OSError, ValueError, SignatureRefusedError) as error:
        raise RecordKeyError(f"{path}: {error}; give a head, or an export, signed by one of the record keys") from error


def check_export(
    path: Path, keys: Sequence[PublicKey], kept: Sequence[TreeHead] = (), *, tell: bool = False
) -> Checked:
    """Return what is wrong with an exported record.

    Args:
        path: A file, or a folder of segments.
        keys: Public keys that the daemon's word is believed from.
        kept: Heads that were kept elsewhere; a record that does not hold them was cut off or written anew.
        tell: Whether to return the facts too.

    Raises:
        OSError: It cannot be read.
    """
    reading = _Reading(tuple(keys), tell)
    try:
        for file in _segments(path, reading.found.problems):
            reading.take(file)
            if len(reading.found.problems) > MANY:
                reading.found.problems.append("… and what comes after was not looked at")
                return reading.found
    except _EnoughError:
        reading.found.problems.append("… and what comes after was not looked at")
        return reading.found
    for head in kept:
        reading.hold(head)
    return reading.found


def _segments(path: Path, problems: list[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.jsonl"))
    if not files:
        problems.append(f"{path}: holds no segment of a record (*.jsonl)")
    return files


class _EnoughError(Exception):
    """So much is wrong that reading on tells nothing."""


class _Reading:
    """Goes through an export line by line and holds what was seen so far against each next line."""

    def __init__(self, keys: tuple[PublicKey, ...], tell: bool) -> None:
        self.found = Checked()
        self._keys = keys
        self._tell = tell
        self._tree = Tree()
        self._hashes: list[str] = []
        self._previous = GENESIS
        self._earlier = 0
        self._signers: set[str] = set()

    def take(self, path: Path) -> None:
        """Read one segment: the line that names it, its facts, its head."""
        closed: TreeHead | None = None
        named: list[str] | None = None
        self._signers = set()
        where = path.name
        for number, (line, tree) in enumerate(_lines(path), 1):
            where = f"{path.name} line {number}"
            if tree is None or not _as_written(tree, line):
                self._wrong(f"{where}: is not as it was written; it was damaged or edited")
            elif closed is not None:
                self._wrong(f"{where}: stands after the head; it was added")
            elif named is None:
                named = self._opening(tree, where)
            elif set(tree) == {"head"}:
                closed = self._closing(tree["head"], where)
            else:
                self._record(tree, where)
        if closed is None:
            self._wrong(f"{path.name}: has no signed head as its last line; the record was cut off")
        if named is not None and named != sorted(self._signers):
            self._wrong(f"{path.name}: names other keys than those that signed its heads; it was edited")

    def hold(self, head: TreeHead) -> None:
        """Hold a head that was kept elsewhere against what was read."""
        if head.size > len(self._tree):
            self._wrong(
                f"the record ends at fact {len(self._tree)}, a head kept elsewhere covers {head.size}; it was cut off"
            )
        elif self._tree.root(head.size).hex() != head.root:
            self._wrong(
                f"the first {head.size} facts are not those that a head kept elsewhere covers; it was rewritten"
            )

    def _wrong(self, text: str) -> None:
        self.found.problems.append(text)
        if len(self.found.problems) > MANY:
            raise _EnoughError

    def _opening(self, tree: dict[str, Any], where: str) -> list[str]:
        told = tree.get("record")
        if set(tree) != {"record"} or not isinstance(told, dict) or set(told) != {"first", "format", "keys"}:
            self._wrong(f"{where}: does not open a record; the first line is missing or damaged")
            return []
        if told["format"] != FORMAT:
            self._wrong(f"{where}: is {told['format']!r}, this version reads {FORMAT}")
        if told["first"] != len(self._tree) + 1 or isinstance(told["first"], bool):
            self._wrong(
                f"{where}: begins at fact {told['first']!r} where {len(self._tree) + 1} belongs; a part is missing or "
                "doubled (of a record in parts, give the folder)"
            )
        return told["keys"] if isinstance(told["keys"], list) else []

    def _record(self, row: dict[str, Any], where: str) -> None:
        sequence, this, problems = check_record(row, len(self._tree) + 1, self._previous)
        for problem in problems:
            self._wrong(f"{where}: {problem}")
        if problems:
            raise _EnoughError  # every later hash and root would differ too, and say nothing new
        self._tree.add(bytes.fromhex(this))
        self._hashes.append(this)
        self._previous = this
        self.found.facts = sequence
        try:
            one = stored(row)
        except FactError as error:
            self._wrong(f"{where}: {error}")
            return
        if isinstance(one.fact, HeadSigned):
            self._signed_before(one.fact, sequence, where)
        if self._tell:
            self.found.told.append(one)

    def _signed_before(self, fact: HeadSigned, sequence: int, where: str) -> None:
        head = self._opened(fact.envelope, where)
        if head is None:
            return
        if (head.size, head.root) != (fact.size, fact.root) or head.size >= sequence:
            self._wrong(f"{where}: is filed with another size or root than was signed; it was edited")
            return
        proof = [bytes.fromhex(one) for one in fact.consistency]
        before = self._earlier
        if fact.earlier != before or not consistent(
            before, head.size, proof, self._tree.root(before), bytes.fromhex(head.root)
        ):
            self._wrong(f"{where}: its proof does not lead from the head before to this one")
        self._earlier = head.size

    def _closing(self, envelope: Any, where: str) -> TreeHead | None:
        head = self._opened(envelope, where)
        if head is not None and head.size != len(self._tree):
            self._wrong(
                f"{where}: the head covers {head.size} facts, {len(self._tree)} are here; some were cut or added"
            )
        self.found.last = head
        return head

    def _opened(self, envelope: Any, where: str) -> TreeHead | None:
        """Return a head whose signature and root hold, None (and say so) otherwise."""
        try:
            head, keyid = open_head(envelope, self._keys)
        except SignatureRefusedError as error:
            self._wrong(f"{where}: the head {error}")
            return None
        self._signers.add(keyid)
        if not 1 <= head.size <= len(self._tree):
            self._wrong(f"{where}: a head covers {head.size} facts, {len(self._tree)} are here; the record was cut off")
            return None
        if (head.root, head.chain) != (self._tree.root(head.size).hex(), self._hashes[head.size - 1]):
            self._wrong(f"{where}: the head was signed over other facts than these; the record was rewritten")
            return None
        self.found.heads += 1
        return head


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                tree = parse(line)
            except (ValueError, RecursionError):
                tree = None
            yield line, tree if isinstance(tree, dict) else None


def _as_written(tree: dict[str, Any], line: bytes) -> bool:
    try:
        return canonical(tree) + b"\n" == line
    except (FactError, RecursionError):
        return False
