"""A bundle, a contract or a scales file held against run files, before anybody trains or builds for it.

Each refusal names field, found, expected and evidence.  What a rule is lives in `retrain.preflight`,
`retrain.structure` and `retrain.firmware.inspection`; here files become its arguments.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from daemon.config import Settings
from daemon.errors import SetupError
from daemon.scan import reading, run_files
from drift.schema import schema_named
from retrain import bundle as bundles
from retrain.contract import FORMAT, Contract, Features, Padding, axol1tl_contract
from retrain.errors import BundleAlteredError, RetrainError
from retrain.preflight import check_contract, from_scales, remarks
from retrain.structure import Finding

MOST_EVENTS = 200_000
PADDINGS: Mapping[str, Padding] = MappingProxyType({"excluded": "excluded", "included": "included"})


@dataclass(frozen=True)
class Subject:
    """What is held against data: a contract, how it is called, and what its own files already say against it."""

    name: str
    contract: Contract | None
    findings: tuple[Finding, ...] = ()


def preflight(
    subject: Path, paths: list[Path], settings: Settings, *, version: str | None = None, padding: str | None = None
) -> dict[str, Any]:
    """Return every finding and remark about a bundle folder, a contract or a scales file, as plain JSON values.

    Args:
        subject: A bundle folder, a ``contract.json``, or a file of released scales with ``versions``.
        paths: Recent run files, or folders of them.
        settings: Of the stream: its schema and the limits of reading.
        version: Which version of a scales file.
        padding: What the scales' author says of absent objects, when the file does not.

    Raises:
        SetupError: The subject is none of these, or has other inputs than the schema.
    """
    one = subject_of(subject, version=version, padding=padding)
    if one.contract is None:
        return judge(one, None, 0)
    _same_inputs(one.contract, settings)
    return judge(one, *recent(paths, settings))


def judge(one: Subject, features: Features | None, lumisections: int) -> dict[str, Any]:
    """Return findings and remarks about a subject, given events or, when its contract cannot be read, none."""
    found, said = list(one.findings), {"subject": one.name, "lumisections": lumisections, "events": 0}
    told: tuple[str, ...] = ()
    if one.contract is not None and features is not None:
        rounded = {each.field for each in one.findings}  # a scale that was rounded only to be looked at
        found += [each for each in check_contract(one.contract, features) if each.field not in rounded]
        told = remarks(one.contract, features)
        said |= {"events": int(features.shape[1]), "contract": one.contract.digest}
    verdict = "fail" if found else "pass"
    return {**said, "verdict": verdict, "findings": [vars(each) for each in found], "remarks": list(told)}


def subject_of(path: Path, *, version: str | None, padding: str | None) -> Subject:
    """Read what is to be checked; a bundle's own files are inspected on the way.

    Raises:
        SetupError: It is no bundle, contract or scales file, or the version is not in it.
    """
    if path.is_dir():
        return _bundle(path)
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise SetupError(f"{path} does not exist; name a bundle folder, a contract.json or a scales file") from error
    except ValueError as error:
        raise SetupError(f"{path} is not JSON ({error}); name a bundle folder, a contract or a scales file") from error
    if isinstance(tree, dict) and tree.get("format") == FORMAT:
        return Subject(str(path), Contract.from_json(tree))
    if isinstance(tree, dict) and isinstance(tree.get("versions"), dict):
        return _scales(path, tree, version, padding)
    raise SetupError(f"{path} is neither a contract of format {FORMAT} nor scales with `versions`; name one of them")


def recent(paths: list[Path], settings: Settings) -> tuple[Features, int]:
    """Return events of these run files, at most 200 000 spread over all of them, and the number of lumisections.

    Raises:
        SetupError: A file cannot be read, or there is no event.
    """
    parts: list[Features] = []
    with reading(settings) as files:
        for path in run_files(paths):
            contents = files.contents(path)
            parts += [events.features for events in (contents.lumisections if contents else ()) if events.events]
        if files.quarantined:
            first = files.quarantined[0]
            raise SetupError(f"{first['path']} cannot be read: {first['reason']}; take it out and try again")
    if not parts:
        raise SetupError("these run files hold no event; a contract is held against data, name files with events")
    total = sum(part.shape[1] for part in parts)
    features = np.concatenate(parts, axis=1)[:, :: -(-total // MOST_EVENTS)]
    return np.ascontiguousarray(features), len(parts)


def _bundle(path: Path) -> Subject:
    from retrain.firmware.inspection import inspect  # noqa: PLC0415 onnx is paid for by bundles alone

    found: list[Finding] = []
    try:
        bundle = bundles.load(path)
    except BundleAlteredError as error:
        found.append(Finding("bundle", str(error), "the bytes its digest names", "SHA-256 of every file"))
        bundle = bundles.Bundle(path, path.name, {})
    try:
        contract, program = bundle.contract, bundle.program
    except (RetrainError, OSError, KeyError, TypeError, ValueError) as error:
        unreadable = Finding("bundle", f"{type(error).__name__}: {error}", "contract, program and weights", "read back")
        return Subject(f"bundle {path.name[:16]}", None, (*found, unreadable))
    found += inspect(path, contract, program)
    return Subject(f"bundle {path.name[:16]}", contract, tuple(found))


def _scales(path: Path, tree: Mapping[str, Any], version: str | None, padding: str | None) -> Subject:
    versions: Mapping[str, Any] = tree["versions"]
    names = [name for name in versions if version is None or name == version or name.startswith(f"{version}.")]
    if len(names) != 1:
        raise SetupError(
            f"{path} holds {', '.join(versions)}; name one of them with --version, found {version or 'none named'}"
        )
    one = versions[names[0]]
    socket = axol1tl_contract(f"{path.stem} {names[0]}")
    inputs = [port.name for port in socket.inputs]
    if tree.get("inputs", inputs) != inputs:
        raise SetupError(f"{path} lists other inputs than the 57 of AXOL1TL, or in another order; write a contract")
    said = padding or one.get("padding") or "excluded"
    if said not in PADDINGS:
        raise SetupError(f"{path} has padding {said!r}; expected one of {', '.join(PADDINGS)}")
    types = {key: one[key] for key in ("offset_type", "shift_type") if key in one}
    socket = replace(socket, padding=PADDINGS[said], **types)
    try:
        contract, broken = from_scales(socket, one["ad_offsets"], one["ad_shift"])
    except (KeyError, TypeError) as error:
        raise SetupError(f"{path} version {names[0]}: {error!r}; expected ad_offsets and ad_shift") from error
    return Subject(f"{path.name} {names[0]}, absent objects {said}", contract, broken)


def _same_inputs(contract: Contract, settings: Settings) -> None:
    schema = schema_named(settings.stream.schema_name)
    if tuple(port.name for port in contract.inputs) != schema.names:
        raise SetupError(
            f"contract {contract.name} has {len(contract.inputs)} inputs, schema {schema.name} reads "
            f"{len(schema.names)}, not the same in the same order; name files and a contract of one model"
        )
