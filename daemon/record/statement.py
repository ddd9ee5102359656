"""Where a bundle came from, as others read it: an in-toto statement with SLSA provenance, signed by the build key.

Subjects are the bundle's digest and every file of it; materials are the recipe, the champion it was held against, and
every lumisection it learned from.  All of it is read from the bundle's own evidence, so the statement can be made again
and compared.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from daemon.errors import ProvenanceError, SignatureRefusedError
from daemon.lifecycle.codec import canonical, parse, time_text
from daemon.record.envelope import opened, sign
from daemon.record.keys import OwnKey, PublicKey
from retrain.errors import BundleAlteredError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:retrigger:training/1"


class Made(Protocol):
    """What a statement says of a bundle; `retrain.bundle.Bundle` is one."""

    @property
    def digest(self) -> str:
        """SHA-256 of its manifest."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Its slot, recipe digest and files."""

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of it."""

    def evidence(self, name: str) -> dict[str, Any]:
        """Return one piece of its evidence."""


def statement(bundle: Made, builder: str, now: datetime) -> dict[str, Any]:
    """Return what is to be signed about a bundle.

    Args:
        bundle: Whole, as `load` returned it.
        builder: URI that names this daemon.
        now: When the daemon took the bundle over.

    References:
        in-toto attestation framework, Statement v1; SLSA v1.0, provenance.
    """
    recipe, data, tools = bundle.read_json("recipe.json"), bundle.evidence("dataset"), bundle.evidence("versions")
    files: Mapping[str, str] = bundle.manifest["files"]
    subjects = [{"name": "manifest.json", "digest": {"sha256": bundle.digest}}]
    subjects += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())]
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"slot": bundle.manifest["slot"], "recipe": recipe},
                "internalParameters": {"tools": dict(sorted(tools.items()))},
                "resolvedDependencies": _materials(bundle.manifest, recipe, data),
            },
            "runDetails": {
                "builder": {"id": builder, "version": {"retrigger": tools.get("retrigger", "unknown")}},
                "metadata": {"invocationId": bundle.manifest["recipe_digest"], "finishedOn": time_text(now)},
            },
        },
    }


def _materials(manifest: Mapping[str, Any], recipe: Mapping[str, Any], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    spans = {part: data.get(part, {}).get("ranges", []) for part in ("training", "held_out")}
    materials: list[dict[str, Any]] = [
        {"name": "recipe", "digest": {"sha256": manifest["recipe_digest"]}},
        {"name": "contract", "digest": {"sha256": manifest["contract_digest"]}},
        {"name": "dataset", "digest": {"sha256": data["digest"]}, "annotations": {"lumisections": spans}},
    ]
    if recipe.get("champion"):
        materials.append({"name": "champion", "digest": {"sha256": recipe["champion"]}})
    for run, lumisection, sha256, events in data.get("files", ()):
        materials.append(
            {"name": f"{run}:{lumisection}", "digest": {"sha256": sha256}, "annotations": {"events": events}}
        )
    return materials


def sign_statement(tree: Mapping[str, Any], key: OwnKey) -> bytes:
    """Return the signed statement as the bytes of its file."""
    return canonical(sign(canonical(tree), PAYLOAD_TYPE, key)) + b"\n"


def check_statement(content: bytes, bundle: Made, keys: Sequence[PublicKey], builder: str | None = None) -> str:
    """Make sure that a signed statement speaks of exactly this bundle; returns the id of the key that signed it.

    Args:
        content: Of its file.
        bundle: Whole, as `load` returned it.
        keys: Public build keys that are believed.
        builder: Who must have built it; None for anybody with such a key.

    Raises:
        ProvenanceError: It is not signed so, or speaks of something else; the message says what.
    """
    where = f"the statement about bundle {bundle.digest[:16]}"
    try:
        envelope = parse(content)
        if canonical(envelope) + b"\n" != content:
            raise ProvenanceError(f"{where}: is not as it was written; it was damaged or edited")
        payload, keyid = opened(envelope, PAYLOAD_TYPE, keys, "build")
        told = parse(payload)
        found = _claims(told)
        made = datetime.fromisoformat(told["predicate"]["runDetails"]["metadata"]["finishedOn"])
        again = statement(bundle, str(found["builder"]), made)
    except (SignatureRefusedError, BundleAlteredError) as error:
        raise ProvenanceError(f"{where}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProvenanceError(f"{where}: is no in-toto statement of ours ({error!r})") from error
    if builder is not None and found["builder"] != builder:
        raise ProvenanceError(f"{where}: names the builder {found['builder']}, expected {builder}")
    differing = [part for part, value in _claims(again).items() if found[part] != value]
    if differing or told != again:
        raise ProvenanceError(f"{where}: says another {', '.join(differing) or 'thing'} than the bundle; refuse it")
    return keyid


def _claims(tree: Mapping[str, Any]) -> dict[str, Any]:
    build = tree["predicate"]["buildDefinition"]
    return {
        "type": (tree["_type"], tree["predicateType"], build["buildType"]),
        "subject": tree["subject"],
        "recipe": build["externalParameters"],
        "tools": build["internalParameters"],
        "materials": build["resolvedDependencies"],
        "builder": tree["predicate"]["runDetails"]["builder"]["id"],
    }
