"""Which policy is in force: the configured file or the one that ships, its signatures, and what was in force before.

The signatures lie beside the file (``policy.toml.sig``), the root keys in a file of their own.  Both belong outside the
reach of whatever builds candidates; the record keeps the highest version that was ever in force.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from daemon.errors import FactError, PolicyError
from daemon.ledger import Ledger
from daemon.lifecycle.codec import plain
from daemon.lifecycle.fact import Signature
from daemon.lifecycle.key_facts import PolicyAdopted
from daemon.lifecycle.policy import Policy, parse_policy
from daemon.lifecycle.policy_signing import (
    RootKeys,
    parse_root_keys,
    require_newer,
    require_signed,
    signatures_from,
)

log = logging.getLogger("retrigger.policy")
SUBJECT = "policy"
UNSIGNED = (
    "THE POLICY IS NOT SIGNED: whoever can write it can change who must approve; "
    "name the root keys in `policy_keys` (see `retrigger policy keygen`)"
)


def load_policy(path: Path | None = None) -> Policy:
    """Return the policy in this file, or the shipped one, whoever signed it.

    Raises:
        PolicyError: The file cannot be read or states something wrong; the message names the file.
    """
    try:
        text = path.read_text("utf-8") if path else files("daemon").joinpath("policy.toml").read_text("utf-8")
        return parse_policy(text)
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise PolicyError(f"{path or 'shipped policy.toml'}: {error}") from error


def load_root_keys(path: Path) -> RootKeys:
    """Return the root keys in this file.

    Raises:
        PolicyError: The file cannot be read or states something wrong; the message names the file.
    """
    try:
        return parse_root_keys(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise PolicyError(f"{path}: {error}") from error


def signature_file(path: Path) -> Path:
    """Return where the signatures of this policy file lie."""
    return path.with_name(f"{path.name}.sig")


def load_signatures(path: Path) -> tuple[Signature, ...]:
    """Return the signatures beside this policy file, none if there is no such file.

    Raises:
        PolicyError: The file is there and holds no signatures.
    """
    beside = signature_file(path)
    if not beside.exists():
        return ()
    try:
        return signatures_from(json.loads(beside.read_text("utf-8")))
    except (OSError, ValueError, AttributeError, TypeError, FactError) as error:
        raise PolicyError(f"{beside} holds no signatures: {error}; sign anew with `retrigger policy sign`") from error


def add_signature(path: Path, signature: Signature) -> Path:
    """Write one more signature beside this policy file, in place of an older one by the same key."""
    others = [one for one in load_signatures(path) if one.key_id != signature.key_id]
    beside = signature_file(path)
    partial = beside.with_name(f".{beside.name}.partial")
    partial.write_text(json.dumps({"signatures": plain([*others, signature])}, indent=1) + "\n", "utf-8")
    partial.replace(beside)
    return beside


@dataclass(frozen=True)
class InForce:
    """The policy that holds, and who signed it; nobody: it is unsigned, and `warning` says so loudly."""

    policy: Policy
    signers: tuple[str, ...]
    warning: str = ""


def policy_in_force(ledger: Ledger, path: Path | None, keys: Path | None, *, unsigned: bool) -> InForce:
    """Return the policy to work under.

    Args:
        ledger: Remembers the highest version that was in force.
        path: The experiment's own file; None takes the shipped one.
        keys: The root keys' file; None: there are no root keys.
        unsigned: Whether an own file may go without signatures: for a demo, an embedded test.

    Raises:
        PolicyError: It cannot be read, too few root keys signed it, it is older than one that was in force, nothing
            says that an own file may go unsigned, or it is unsigned where signed rules were in force.
    """
    policy = load_policy(path)
    try:
        names = _signers(policy, path, keys, unsigned=unsigned)
        require_newer(policy, _adopted(ledger), signed=bool(names))
    except PolicyError as error:
        raise PolicyError(f"{path or 'shipped policy.toml'}: {error}") from error
    return InForce(policy, names, "" if names else UNSIGNED)


def _signers(policy: Policy, path: Path | None, keys: Path | None, *, unsigned: bool) -> tuple[str, ...]:
    if keys is None:
        if path is None or unsigned:
            return ()
        raise PolicyError(
            "it is not signed and no root keys are named; set `policy_keys`, or `policy_unsigned = true` for a demo"
        )
    if path is None:
        raise PolicyError("there are root keys and no `policy` of your own for them to sign; name the file")
    return require_signed(policy, load_signatures(path), load_root_keys(keys))


def adopt(ledger: Ledger, found: InForce, now: datetime) -> None:
    """Record under which rules the daemon works from now on, once each, and say it loudly if nobody signed them.

    The same rules are recorded again once root keys signed them: from then on nobody goes on without.
    """
    if found.warning:
        log.warning("%s", found.warning)
    before = _adopted(ledger)
    known = before is not None and (before.version, before.policy_id) == (found.policy.version, found.policy.id)
    if before is None or not known or (found.signers and not before.signers):
        fact = PolicyAdopted(
            at=max(now, ledger.clock() or now),
            actor="daemon",
            version=found.policy.version,
            policy_id=found.policy.id,
            signers=found.signers,
        )
        ledger.append(SUBJECT, (fact,))


def _adopted(ledger: Ledger) -> PolicyAdopted | None:
    stored = [one.fact for one in ledger.facts(subject=SUBJECT, kind=PolicyAdopted.kind)]
    return stored[-1] if stored and isinstance(stored[-1], PolicyAdopted) else None
