"""Whether a version of the rules is signed by enough root keys, and may follow the version before.

A change of the policy is the one change that no candidate can bring (tier T3): it is a new file with a higher version,
signed off line by a threshold of root keys over its canonical digest.  A comment may change without a signature, a rule
may not.  Nothing here reads a file.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.errors import FactError, PolicyError
from daemon.lifecycle.codec import build, canonical
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.key_facts import PolicyAdopted
from daemon.lifecycle.policy import Policy
from daemon.lifecycle.signing import key_id_of, verifies

HEADING = b"retrigger policy 1\n"


@dataclass(frozen=True, kw_only=True)
class RootKey:
    """One root key: who holds it, and its public half in hex."""

    name: str
    public: str


@dataclass(frozen=True)
class RootKeys:
    """Every root key, and how many of them must sign."""

    threshold: int
    roots: tuple[RootKey, ...]


def parse_root_keys(text: str) -> RootKeys:
    """Return the root keys that this TOML states: ``threshold = 3`` and ``[[roots]]`` with ``name`` and ``public``.

    Raises:
        PolicyError: It is no such file, a name or a key is there twice, or the threshold cannot be met.
    """
    try:
        body = tomllib.loads(text)
        roots = tuple(build(RootKey, one) for one in body.pop("roots", []))
        threshold = body.pop("threshold", None)
        ids = [key_id_of(one.public) for one in roots]
    except (tomllib.TOMLDecodeError, FactError, TypeError, ValueError) as error:
        raise PolicyError(f"the root keys cannot be read: {error}; see `retrigger policy keygen`") from error
    if body:
        raise PolicyError(f"the root keys have unknown entries {sorted(body)}; expected threshold and [[roots]]")
    if len(set(ids)) < len(ids) or len({one.name for one in roots}) < len(roots):
        raise PolicyError(
            "the root keys name a person or a key twice; each person has one key, and each key one person"
        )
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= len(roots):
        raise PolicyError(
            f"threshold is {threshold!r} of {len(roots)} root keys; it must be at least 1 and at most all"
        )
    return RootKeys(threshold, roots)


def policy_statement(policy: Policy) -> bytes:
    """Return the bytes that a root key signs: the version and the digest of every rule."""
    return HEADING + canonical({"version": policy.version, "policy_id": policy.id})


def signers(policy: Policy, signatures: Iterable[Signature], keys: RootKeys) -> tuple[str, ...]:
    """Return the names of the root keys whose signature of this very policy holds, each once."""
    message, by_id = policy_statement(policy), {key_id_of(one.public): one for one in keys.roots}
    good = {
        by_id[one.key_id].name
        for one in signatures
        if one.key_id in by_id and verifies(by_id[one.key_id].public, one.value, message)
    }
    return tuple(sorted(good))


def require_signed(policy: Policy, signatures: Iterable[Signature], keys: RootKeys) -> tuple[str, ...]:
    """Return who signed, at least the threshold.

    Raises:
        PolicyError: Too few root keys signed this very policy.
    """
    names = signers(policy, signatures, keys)
    if len(names) < keys.threshold:
        raise PolicyError(
            f"version {policy.version} ({policy.id[:16]}) is signed by {len(names)} root key(s) "
            f"({', '.join(names) or 'none'}), {keys.threshold} of {len(keys.roots)} must sign these very rules; "
            "sign with: retrigger policy sign FILE --key KEY"
        )
    return names


def require_newer(policy: Policy, before: PolicyAdopted | None, *, signed: bool) -> None:
    """Refuse a policy that may not follow the one that was in force last.

    Raises:
        PolicyError: Its version is lower, it is another policy under the same version although it is signed, or nobody
            signed it where signed rules were in force.
    """
    if before is None:
        return
    version, policy_id = before.version, before.policy_id
    if policy.version < version:
        raise PolicyError(
            f"version {policy.version} is older than version {version}, which was in force here; "
            "there is no way back to older rules: write them anew under a higher version"
        )
    if signed and policy.version == version and policy.id != policy_id:
        raise PolicyError(
            f"version {version} was in force with other rules ({policy_id[:16]}, now {policy.id[:16]}); "
            "changed rules take a higher version"
        )
    if before.signers and not signed:
        raise PolicyError(
            f"nobody signed it, and version {version}, in force here, was signed by {', '.join(before.signers)}; "
            "name the root keys again in `policy_keys`.  A demo without signatures takes a ledger of its own"
        )


def signatures_from(body: Mapping[str, Any]) -> tuple[Signature, ...]:
    """Return the signatures in the JSON beside a policy file.

    Raises:
        FactError: It does not state signatures.
    """
    return tuple(build(Signature, one) for one in body.get("signatures", []))
