"""Whether an archive of a bundle's evidence holds: every byte of it, with public keys alone."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.errors import EvidenceError, FactError, PolicyError, ProvenanceError, SignatureRefusedError
from daemon.ledger import StoredFact, check_record, stored
from daemon.lifecycle import BundleAttested, parse_policy
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical, parse
from daemon.measured import evidence_root, outcomes
from daemon.record import archive
from daemon.record.envelope import opened
from daemon.record.evidence import BUNDLE, FACTS, FORMAT, HEAD, PAYLOAD_TYPE, POLICY, STATEMENT, TOP, names
from daemon.record.heads import TreeHead, open_head
from daemon.record.keys import PublicKey
from daemon.record.merkle import included
from daemon.record.statement import check_statement
from retrain.bundle import Bundle, load
from retrain.digest import digest_of_bytes
from retrain.errors import RetrainError


@dataclass
class EvidenceChecked:
    """What a check of an archive found.

    Attributes:
        problems: One sentence each; empty when everything holds.
        bundle: Digest of the bundle it is about.
        head: The signed head that its facts lead to.
        told: Its facts.
        approvals: Who approved the bundle, in which role.
        notes: What a reader should know besides.
    """

    problems: list[str] = field(default_factory=list)
    bundle: str = ""
    head: TreeHead | None = None
    told: list[StoredFact] = field(default_factory=list)
    approvals: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_evidence(path: Path, keys: Sequence[PublicKey], kept: Sequence[TreeHead] = ()) -> EvidenceChecked:
    """Return what is wrong with an archive that `pack` wrote.

    Args:
        path: The archive.
        keys: Public keys that the daemon's word is believed from.
        kept: Heads kept elsewhere; only one of the same size can be held against an archive.
    """
    found = EvidenceChecked()
    with tempfile.TemporaryDirectory(prefix="retrigger-evidence-") as name:
        folder = Path(name)
        try:
            listed = archive.unpack(path, folder)
            _check(folder, listed, tuple(keys), found)
        except (EvidenceError, ProvenanceError, SignatureRefusedError, FactError, RetrainError) as error:
            found.problems.append(str(error))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.problems.append(f"{path}: has not the form of {FORMAT} ({error!r}); it was damaged or edited")
    for head in kept:
        if found.head is not None and head.size == found.head.size and head.root != found.head.root:
            found.problems.append(f"the head over {head.size} facts is not the one kept elsewhere; it was rewritten")
        elif found.head is not None and head.size != found.head.size:
            found.notes.append(
                f"the head kept elsewhere covers {head.size} facts, this one {found.head.size}; they can be compared "
                "only on an export of the record"
            )
    return found


def _check(folder: Path, listed: list[str], keys: tuple[PublicKey, ...], found: EvidenceChecked) -> None:
    top = parse(opened(_canonical(folder / TOP), PAYLOAD_TYPE, keys, "record")[0])
    if top["format"] != FORMAT:
        raise EvidenceError(f"is {top['format']!r}, this version reads {FORMAT}")
    found.bundle = str(top["bundle"])
    parts = {name: digest_of_bytes((folder / name).read_bytes()) for name in listed if not name.startswith(BUNDLE)}
    parts.pop(TOP)
    if parts != top["files"] or set(parts) != {FACTS, HEAD, POLICY, STATEMENT}:
        differing = sorted({name for name, _ in set(parts.items()) ^ set(top["files"].items())})
        raise EvidenceError(f"{', '.join(differing)}: not as the record key signed it; edited, added or taken out")
    bundle = load(folder / BUNDLE, found.bundle)
    check_statement((folder / STATEMENT).read_bytes(), bundle, keys)
    found.head, _ = open_head(_canonical(folder / HEAD), keys)
    for line in (folder / FACTS).read_bytes().splitlines(keepends=True):
        _fact(line, found.head, found)
    if not found.problems:
        _agree(folder, bundle, found)


def _canonical(path: Path) -> Any:
    content = path.read_bytes()
    tree = parse(content)
    if canonical(tree) + b"\n" != content:
        raise EvidenceError(f"{path.name}: is not as it was written; it was damaged or edited")
    return tree


def _fact(line: bytes, head: TreeHead, found: EvidenceChecked) -> None:
    tree = parse(line)
    if canonical(tree) + b"\n" != line or set(tree) != {"record", "proof"}:
        raise EvidenceError(f"{FACTS}: a line is not as it was written; it was damaged or edited")
    row = tree["record"]
    sequence, this, problems = check_record(row, row["sequence"], row["previous"])
    proof = [bytes.fromhex(step) for step in tree["proof"]]
    if problems:
        found.problems += problems
    elif not included(bytes.fromhex(this), sequence - 1, head.size, proof, bytes.fromhex(head.root)):
        found.problems.append(f"record {sequence}: is not in the record that the signed head covers")
    elif found.told and sequence <= found.told[-1].sequence:
        found.problems.append(f"record {sequence}: stands twice, or out of order")
    else:
        found.told.append(stored(row))


def _agree(folder: Path, bundle: Bundle, found: EvidenceChecked) -> None:
    """Hold bundle, facts, statement and policy against each other."""
    facts = [one.fact for one in found.told]
    if not any(names(fact, bundle.digest) for fact in facts):
        found.problems.append(f"no fact here is about bundle {bundle.digest[:16]}")
    digest = digest_of_bytes((folder / STATEMENT).read_bytes())
    if not any(isinstance(one, BundleAttested) and one.statement_digest == digest for one in facts):
        found.problems.append("the record does not know the statement of where the bundle came from")
    for gates in (one for one in facts if isinstance(one, f.GatesEvaluated) and one.bundle_digest == bundle.digest):
        told = {(one.number, one.name, one.verdict) for one in gates.gates}
        beside = gates.running_digest
        same = told == {(one.number, one.name, one.verdict) for one in outcomes(bundle, beside)}
        if not same or gates.evidence_root != evidence_root(bundle, beside):
            found.problems.append("the gates in the record are not those in the bundle's evidence")
    requests = {one.request_id: one for one in facts if isinstance(one, f.Proposed)}
    requests = {key: one for key, one in requests.items() if one.bundle_digest == bundle.digest}
    found.approvals = [
        (one.person, one.role) for one in facts if isinstance(one, f.Approved) if one.request_id in requests
    ]
    try:
        policy = parse_policy((folder / POLICY).read_text("utf-8")).id
    except (PolicyError, UnicodeDecodeError) as error:
        found.problems.append(f"{POLICY}: {error}")
        return
    if other := {one.policy_id for one in requests.values()} - {policy}:
        found.notes.append(
            f"{len(other)} request(s) were made under another policy than the one enclosed ({policy[:16]})"
        )
