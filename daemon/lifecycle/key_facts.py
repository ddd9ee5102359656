"""What can have happened to signing keys and to the rules themselves."""

from dataclasses import dataclass

from daemon.lifecycle.fact import Fact


@dataclass(frozen=True, kw_only=True)
class SigningKeyAdded(Fact):
    """A key now speaks for a person.  Subject: ``people``.  `public` is the public key in hex."""

    person: str
    key_id: str
    public: str
    key_kind: str = "ed25519"


@dataclass(frozen=True, kw_only=True)
class SigningKeyRevoked(Fact):
    """A key speaks for nobody any more; approvals signed with it are void.  Subject: ``people``."""

    person: str
    key_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PolicyAdopted(Fact):
    """The daemon began to work under these rules.  Subject: ``policy``.

    Attributes:
        version: Never below one that was adopted before.
        policy_id: Digest of the rules.
        signers: Names of the root keys that signed it, at least the threshold; empty: unsigned.
    """

    version: int
    policy_id: str
    signers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IdentityLinked(Fact):
    """A subject of a single sign-on speaks for a person from now on.  Subject: ``people``."""

    person: str
    issuer: str
    identity: str
