"""What the record says about a digest, or about a person: from the ledger, or from an export that was verified."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.errors import RefusedError
from daemon.ledger import StoredFact
from daemon.lifecycle import facts as f
from daemon.lifecycle.codec import canonical
from daemon.lifecycle.facts import to_json

SHORTEST = 8
"""Characters of a digest that must be given."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One fact, with what it rests on.

    Attributes:
        sequence: Its place in the record.
        at: When it happened.
        kind: What happened.
        subject: Candidate, slot, stream or other thing that it is filed under.
        actor: Who did it; ``daemon`` for what the daemon did.
        words: What it says of itself: role, reason, verdicts.
        request: The request it is about, empty when it is about none.
        bundle: Digest of the bundle it is about, empty when it is about none.
        evidence: Digest of the evidence that it rests on, empty when it rests on none.
    """

    sequence: int
    at: datetime
    kind: str
    subject: str
    actor: str
    words: str
    request: str
    bundle: str
    evidence: str


def by_digest(stored: Sequence[StoredFact], digest: str) -> list[Told]:
    """Return every fact that names a digest: a bundle, a recipe, evidence, a request, a file, a policy.

    Args:
        stored: Every fact, in order.
        digest: The digest in hex, or its beginning.

    Raises:
        RefusedError: It is too short, no hex, or the beginning of several digests.
    """
    wanted = digest.lower()
    if len(wanted) < SHORTEST or not set(wanted) <= set("0123456789abcdef"):
        raise RefusedError(f"{digest!r} is no beginning of a digest; give at least {SHORTEST} of its hex characters")
    naming = [(one, _digests(one.fact, wanted)) for one in stored]
    named = {found for _, these in naming for found in these}
    if len(named) > 1:
        raise RefusedError(
            f"{digest} is the beginning of {len(named)} digests: {', '.join(sorted(named)[:4])}; give more of it"
        )
    return _tell(stored, [one for one, these in naming if these])


def by_person(stored: Sequence[StoredFact], person: str) -> list[Told]:
    """Return every fact that a person did, agreed to, asked for, or that is about the person's account."""
    return _tell(stored, [one for one in stored if person in _people(one.fact)])


def _people(fact: f.Fact) -> set[str]:
    return {fact.actor, *(str(getattr(fact, name, "")) for name in ("person", "initiator", "by"))}


def _digests(fact: f.Fact, beginning: str) -> set[str]:
    """Every whole SHA-256 in a fact's text that begins so."""
    text, found = canonical(to_json(fact)).decode(), set()
    at = text.find(f'"{beginning}')
    while at >= 0:
        word = text[at + 1 : at + 65]
        if len(word) == 64 and text[at + 65 : at + 66] == '"' and set(word) <= set("0123456789abcdef"):
            found.add(word)
        at = text.find(f'"{beginning}', at + 1)
    return found


def _tell(stored: Iterable[StoredFact], chosen: Sequence[StoredFact]) -> list[Told]:
    requests: dict[str, f.Proposed] = {}
    builds: dict[str, str] = {}
    out, wanted = [], {one.sequence for one in chosen}
    for one in stored:
        fact = one.fact
        if isinstance(fact, f.Proposed):
            requests[fact.request_id] = fact
        if isinstance(fact, f.TrainingFinished):
            builds[one.subject] = fact.bundle_digest
        if one.sequence not in wanted:
            continue
        request = str(getattr(fact, "request_id", ""))
        asked = requests.get(request)
        evidence = getattr(fact, "evidence_root", "") or (asked.evidence_root if asked else "")
        bundle = getattr(fact, "bundle_digest", "") or getattr(fact, "digest", "")
        out.append(
            Told(
                sequence=one.sequence,
                at=fact.at,
                kind=fact.kind,
                subject=one.subject,
                actor=fact.actor,
                words=_words(fact),
                request=request,
                bundle=str(bundle or (asked.bundle_digest if asked else builds.get(one.subject, ""))),
                evidence=str(evidence),
            )
        )
    return out


def _words(fact: f.Fact) -> str:
    said = [str(getattr(fact, name, "")) for name in ("person", "role", "klass", "reason", "what_changed")]
    if isinstance(fact, f.GatesEvaluated):
        said.append(", ".join(f"{gate.name} {gate.verdict}" for gate in fact.gates))
    if isinstance(fact, f.PersonAdded | f.RolesChanged):
        said.append("roles " + ", ".join(fact.roles))
    return "; ".join(one for one in said if one and one != fact.actor)
