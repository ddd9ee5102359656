"""The root of trust of a TUF repository: who may sign what, and how a lost or stolen key is replaced.

Done by hand, by whoever keeps the root keys, on a host that the daemon does not reach.  Nothing here deploys.

References:
    J. Samuel et al., Survivable Key Compromise in Software Update Systems, CCS 2010, doi:10.1145/1866307.1866315.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer  # type: ignore[attr-defined]  # re-exported without saying so
from tuf.api.metadata import (  # type: ignore[attr-defined]  # re-exported without saying so
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from daemon.errors import DeployError
from daemon.targets.locking import write_bytes
from daemon.targets.tuf_publishing import Lifetimes, Signers

ROOT_LIFETIME = timedelta(days=365)
LEAST_KEYS = 2


def lay_root(
    folder: Path,
    root_signers: Sequence[Signer],
    signers: Signers,
    now: datetime,
    *,
    threshold: int = LEAST_KEYS,
    lifetimes: Lifetimes | None = None,
) -> Path:
    """Make an empty repository and return its ``1.root.json``, which every client must be given by another way.

    Args:
        folder: A new or empty folder.
        root_signers: Offline keys; ``threshold`` of them must agree on who may sign.
        signers: Who signs what runs; as many of `Signers.targets` must agree as are named, two at least.
        now: When it is laid, UTC.
        threshold: Of the root role.
        lifetimes: Of the first metadata.

    Raises:
        DeployError: Fewer than two keys, one key twice, or there is a repository already.
    """
    lifetimes = lifetimes or Lifetimes()
    distinct = {signer.public_key.keyid for signer in signers.targets}
    roots = {signer.public_key.keyid for signer in root_signers}
    if len(distinct) < max(LEAST_KEYS, len(signers.targets)) or len(roots) < max(threshold, LEAST_KEYS):
        raise DeployError(
            f"{len(distinct)} keys for what runs and {len(roots)} root keys were given; two different ones of each are "
            "the least, or one stolen key suffices"
        )
    metadata = folder / "metadata"
    if metadata.exists():
        raise DeployError(f"{metadata} exists; a repository is laid once, rotate its keys instead")
    root = Root(consistent_snapshot=True, expires=(now + ROOT_LIFETIME).replace(microsecond=0))
    keys = {
        Root.type: ([signer.public_key for signer in root_signers], threshold),
        Targets.type: ([signer.public_key for signer in signers.targets], len(signers.targets)),
        Snapshot.type: ([signers.snapshot.public_key], 1),
        Timestamp.type: ([signers.timestamp.public_key], 1),
    }
    for role, (several, least) in keys.items():
        for key in several:
            root.add_key(key, role)
        root.roles[role].threshold = least
    metadata.mkdir(parents=True)
    (folder / "targets").mkdir(exist_ok=True)
    first = _signed(Metadata(root), root_signers)
    targets = _signed(Metadata(Targets(expires=_at(now, lifetimes.targets))), signers.targets).to_bytes()
    meta = {"targets.json": MetaFile.from_data(1, targets, ["sha256"])}
    snapshot = _signed(Metadata(Snapshot(meta=meta, expires=_at(now, lifetimes.snapshot))), [signers.snapshot])
    body = snapshot.to_bytes()
    stamp = Timestamp(snapshot_meta=MetaFile.from_data(1, body, ["sha256"]), expires=_at(now, lifetimes.timestamp))
    write_bytes(metadata / "1.targets.json", targets)
    write_bytes(metadata / "1.snapshot.json", body)
    write_bytes(metadata / "timestamp.json", _signed(Metadata(stamp), [signers.timestamp]).to_bytes())
    write_bytes(metadata / "1.root.json", first.to_bytes())
    return metadata / "1.root.json"


def rotate(
    folder: Path, root_signers: Sequence[Signer], keys: Mapping[str, Sequence[Any]], now: datetime
) -> Metadata[Root]:
    """Replace the keys of roles by these, with a new root that the old one's keys have signed.

    What was signed with a replaced key counts no more from the next refresh on; publish anew with the new keys.

    Args:
        folder: The repository.
        root_signers: Enough of the present root keys, and of the new ones where the root's own are replaced.
        keys: Public keys by role (``root``, ``targets``, ``snapshot``, ``timestamp``).
        now: UTC.

    Raises:
        DeployError: Fewer keys than the role's threshold.
        tuf.api.exceptions.UnsignedMetadataError: Too few root signatures.
    """
    metadata = folder / "metadata"
    newest = max(metadata.glob("*.root.json"), key=lambda path: int(path.name.partition(".")[0]))
    old = Metadata[Root].from_bytes(newest.read_bytes())
    new = Metadata[Root].from_bytes(newest.read_bytes())
    for role, several in keys.items():
        if len({key.keyid for key in several}) < old.signed.roles[role].threshold:
            raise DeployError(f"{role} needs {old.signed.roles[role].threshold} different keys; name as many")
        for keyid in tuple(new.signed.roles[role].keyids):
            new.signed.revoke_key(keyid, role)
        for key in several:
            new.signed.add_key(key, role)
    new.signed.version += 1
    new.signed.expires = _at(now, ROOT_LIFETIME)
    new = _signed(new, root_signers)
    for judge in (old, new):
        judge.signed.verify_delegate(Root.type, new.signed_bytes, new.signatures)
    write_bytes(metadata / f"{new.signed.version}.root.json", new.to_bytes())
    return new


def _signed(metadata: Metadata[Any], signers: Sequence[Signer]) -> Metadata[Any]:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata


def _at(now: datetime, lifetime: timedelta) -> datetime:
    return (now + lifetime).replace(microsecond=0)
