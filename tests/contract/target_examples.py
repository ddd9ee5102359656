"""Bundles in miniature and every kind of target on them."""

import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from daemon.deploy import InMemoryTarget
from daemon.targets.boards import BoardsTarget
from daemon.targets.command import CommandTarget
from daemon.targets.filesystem import FilesystemTarget
from daemon.targets.oci import OciTarget
from daemon.targets.tuf import TufTarget
from daemon.targets.tuf_publishing import Signers
from daemon.targets.tuf_root import lay_root

SITE_TOOL = Path(__file__).parent / "site_tool.py"


def verify(folder):
    """A bundle's digest in miniature: over names and bytes, checked against the manifest."""
    listed = json.loads((folder / "manifest.json").read_text())
    for name, expected in listed.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            raise ValueError(f"{name} was altered")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if unlisted := found - {*listed, "manifest.json"}:
        raise ValueError(f"{min(unlisted)} is not listed in the manifest")
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def make_bundle(folder, words):
    (folder / "hls").mkdir(parents=True)
    contents = {"weights": words.encode() * 1000, "hls/model.cpp": b"int main() {}", "threshold.json": b"17"}
    for name, body in contents.items():
        (folder / name).write_bytes(body)
    listed = {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}
    (folder / "manifest.json").write_text(json.dumps(listed, sort_keys=True))
    return verify(folder)


def site_tool(crate, *habit):
    return [sys.executable, str(SITE_TOOL), str(crate), *habit]


class Keys:
    """The keys of one repository, as they lie with different people and hosts."""

    def __init__(self):
        self.root = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.first, self.second, self.online = (CryptoSigner.generate_ed25519() for _ in range(3))

    @property
    def signers(self):
        return Signers((self.first, self.second), self.online, self.online)


def now():
    return datetime.now(tz=UTC)


def a_week_ago():
    return now() - timedelta(days=7)


def tuf_target(folder, keys, *, slot="L1_AXO", clock=now, **given):
    root = folder / "trusted.root.json"
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        root.write_bytes(lay_root(folder / "repository", keys.root, keys.signers, clock()).read_bytes())
    given = {"name": "crate-7", "memory": folder / f"memory-{slot}", "signers": keys.signers, **given}
    return TufTarget(folder / "repository", slot, root=root, clock=clock, verify=verify, **given)


def make_target(kind, folder, registry):
    """Return an empty target of one kind, named crate-7."""
    if kind == "memory":
        return InMemoryTarget("crate-7", verify)
    if kind == "filesystem":
        return FilesystemTarget(folder / "crate-7", name="crate-7", verify=verify)
    if kind == "command":
        return CommandTarget(site_tool(folder / "crate-7.json"), name="crate-7", verify=verify)
    if kind == "oci":
        where = f"slots/{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
        return OciTarget(registry, where, insecure=True, name="crate-7", verify=verify)
    if kind == "boards":
        boards = {name: FilesystemTarget(folder / name, name=name, verify=verify) for name in ("left", "right")}
        return BoardsTarget("crate-7", boards)
    return tuf_target(folder / "tuf", Keys())
