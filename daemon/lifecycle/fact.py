"""What a fact is, and how it becomes JSON and comes back.

Every kind registers itself by name when its class is made; `daemon.lifecycle.facts`, `board_facts` and `key_facts`
hold them.  Nothing here knows what any of them means.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from daemon.errors import FactError
from daemon.lifecycle.codec import build, plain, time_text

KINDS: dict[str, type["Fact"]] = {}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened.  `at` is UTC-aware; `actor` is a person's name or ``daemon``."""

    kind: ClassVar[str]

    at: datetime
    actor: str

    def __init_subclass__(cls) -> None:
        """Register the kind under its name in snake case."""
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        time_text(self.at)


def to_json(fact: Fact) -> dict[str, Any]:
    """Return the fact as JSON-ready values, with its kind."""
    return {"kind": fact.kind, **plain(fact)}


def from_json(body: Mapping[str, Any]) -> Fact:
    """Return the fact that `to_json` took apart.

    Raises:
        FactError: The kind is unknown, or a field does not fit it.
    """
    kind = KINDS.get(str(body.get("kind")))
    if kind is None:
        raise FactError(f"unknown kind of fact {body.get('kind')!r}; a newer retrigger wrote this ledger, use that one")
    return build(kind, {key: value for key, value in body.items() if key != "kind"})


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What makes a person's word an electronic signature: over which bytes, `daemon.lifecycle.signing` says.

    Attributes:
        kind: ``ed25519`` by the command line, ``webauthn``, an assertion of a passkey, by the page.
        key_id: Which of the person's registered keys made it.
        value: The signature itself, in hex; of a passkey, the canonical JSON of what was asserted.
    """

    kind: str
    key_id: str
    value: str
