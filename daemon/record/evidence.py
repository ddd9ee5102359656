"""Everything about one bundle as one archive, to be checked where there is no daemon and no database.

It holds the bundle with the evidence of its gates, the signed statement of where it came from, every fact about it with
the proof that it is in the record, the signed head that these proofs lead to, and the text of the policy.  The
record key signs what belongs into it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import EvidenceError, LedgerError
from daemon.ledger import Ledger, StoredFact
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical
from daemon.output import writing
from daemon.record import archive
from daemon.record.envelope import sign
from daemon.record.heads import TreeHead, sign_head
from daemon.record.keys import OwnKey
from daemon.record.merkle import Tree
from daemon.record.provenance import statement_path
from daemon.record.written import grow, head_of
from retrain.bundle import Bundle
from retrain.digest import digest_of_bytes

FORMAT = "retrigger-evidence/1"
PAYLOAD_TYPE = "application/vnd.retrigger.evidence+json"
FACTS, HEAD, POLICY, STATEMENT, TOP = (
    "facts.jsonl",
    "head.json",
    "policy.toml",
    "statement.intoto.json",
    "evidence.json",
)
BUNDLE = "bundle/"


@dataclass(frozen=True)
class Packed:
    """What went into an archive."""

    head: TreeHead
    facts: int
    files: int


def about(stored: Iterable[StoredFact], digest: str) -> list[StoredFact]:
    """Return the facts about a bundle: its candidates' whole course, and where it ran.

    Facts about the people who decided on it belong to it too: who they were and which roles they held.
    """
    all_facts = list(stored)
    mine = {one.subject for one in all_facts if isinstance(one.fact, f.TrainingFinished) and names(one.fact, digest)}
    kept = [one for one in all_facts if one.subject in mine or names(one.fact, digest)]
    people = {person for one in kept for person in (one.fact.actor, getattr(one.fact, "person", ""))}
    chosen = {one.sequence for one in kept}
    chosen |= {one.sequence for one in all_facts if one.subject == "people" and _person(one.fact) in people}
    return [one for one in all_facts if one.sequence in chosen]


def names(fact: f.Fact, digest: str) -> bool:
    """Return whether a fact names a digest as the bundle it speaks of."""
    told = (getattr(fact, name, None) for name in ("bundle_digest", "digest", "read_back", "to_digest", "from_digest"))
    return digest in told


def _person(fact: f.Fact) -> str:
    return str(getattr(fact, "person", ""))


def pack(ledger: Ledger, bundle: Bundle, policy: str, key: OwnKey, out: Path) -> Packed:
    """Write the archive of one bundle; equal records give equal bytes.

    Args:
        ledger: Of the record.
        bundle: Whole, as `load` returned it.
        policy: Text of the policy file in force.
        key: The record key.
        out: The file; it appears whole or not at all.

    Raises:
        EvidenceError: The record knows nothing of this bundle, or its statement is missing.
        SetupError: The file cannot be written.
    """
    facts = about(ledger.facts(), bundle.digest)
    if not facts:
        raise EvidenceError(f"the record has no fact about bundle {bundle.digest[:16]}; see `retrigger candidates`")
    signed = statement_path(bundle.path)
    if not signed.is_file():
        raise EvidenceError(
            f"there is no statement of where bundle {bundle.digest[:16]} came from ({signed}); one is signed when the "
            "daemon verifies a candidate, and a model that was imported has none"
        )
    tree, at = Tree(), ledger.clock()
    hashes = grow(tree, ledger)
    if at is None:
        raise LedgerError("the record holds no fact yet")
    head = head_of(tree, hashes[-1], at)
    records = {record["sequence"]: record for record in _records(ledger, facts, len(tree))}
    lines = b"".join(
        canonical({"record": records[one.sequence], "proof": [step.hex() for step in tree.inclusion(one.sequence - 1)]})
        + b"\n"
        for one in facts
    )
    parts: dict[str, bytes] = {
        FACTS: lines,
        HEAD: canonical(sign_head(head, key)) + b"\n",
        POLICY: policy.encode(),
        STATEMENT: signed.read_bytes(),
    }
    listed = {name: digest_of_bytes(content) for name, content in parts.items()}
    top = canonical({"format": FORMAT, "bundle": bundle.digest, "files": listed})
    files: dict[str, bytes | Path] = {**parts, TOP: canonical(sign(top, PAYLOAD_TYPE, key)) + b"\n"}
    files |= {f"{BUNDLE}{name}": bundle.path / name for name in ("manifest.json", *bundle.manifest["files"])}
    with writing(out, "the evidence of a bundle") as sink:
        archive.write(sink, files.items())
    return Packed(head, len(facts), len(files))


def _records(ledger: Ledger, facts: list[StoredFact], size: int) -> Iterator[Mapping[str, Any]]:
    wanted = {one.sequence for one in facts}
    return (record for record in ledger.records(min(wanted) - 1, size) if record["sequence"] in wanted)
