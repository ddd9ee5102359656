"""What the daemon says about its own record: heads that it signed, bundles whose origin it signed.

These move no candidate.  They stand in the chain so that a head, once signed, cannot be taken back unseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.lifecycle.facts import Fact


@dataclass(frozen=True, kw_only=True)
class HeadSigned(Fact):
    """The record key signed a head over the first `size` facts.  Subject: ``record``.

    Attributes:
        size: How many facts the head covers; all of them stand before this one.
        root: Merkle root over their chain hashes, in hex.
        envelope: The signed head as it is given away.
        earlier: Size of the head signed before, 0 for the first.
        consistency: Proof, in hex, that this tree begins with that one.
    """

    size: int
    root: str
    envelope: Mapping[str, Any]
    earlier: int
    consistency: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BundleAttested(Fact):
    """The build key signed where a bundle came from.  Subject: ``provenance``.

    Attributes:
        bundle_digest: Of the bundle.
        statement_digest: SHA-256 of the file with the signed statement.
        keyid: Which key signed it.
    """

    bundle_digest: str
    statement_digest: str
    keyid: str
