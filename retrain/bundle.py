"""One candidate as one folder with one digest.

A bundle is named by the SHA-256 of its manifest, which lists the SHA-256 of every other file and is written
last.  Weights, scales, threshold, emulator and evidence are one thing: change any bit and the digest no longer
holds; write a new manifest over the change, and the threshold no longer belongs to the weights.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from retrain.contract import Contract, Features
from retrain.digest import canonical, digest_of_bytes
from retrain.errors import BundleAlteredError, BundleOutdatedError, ContractError, RecipeError
from retrain.fixed_point import Integers
from retrain.program import IntegerProgram
from retrain.recipe import Recipe
from retrain.verify import GateResult

FORMAT = "retrigger-bundle/2"
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"
MEMORY = "memory.safetensors"
THRESHOLD = "threshold.json"
EMULATOR = "emulator/emulator.so"
METADATA = "emulator/model.json"
PLAIN = "model.onnx"
Kind = TypeVar("Kind")
MAXIMUM_FILES = 2000
MAXIMUM_FILE_BYTES = 512 * 2**20

_ROLES = (
    ("weights.safetensors", "the weights"),
    ("checkpoint.safetensors", "the training checkpoint"),
    ("memory.safetensors", "the memory of old events"),
    ("threshold.json", "the threshold"),
    ("contract.json", "the contract with its offsets and shifts"),
    ("recipe.json", "the recipe"),
    ("program.json", "the fixed-point types"),
    ("model.qonnx", "the QONNX graph"),
    ("model.onnx", "the plain ONNX graph"),
    ("golden.safetensors", "the golden vectors"),
    ("emulator/emulator.so", "the emulator library"),
    ("emulator/model.json", "the emulator's metadata"),
    ("emulator/library.so", "the adopted library"),
    ("emulator/bridge", "the bridge to the adopted library"),
    ("interface.json", "the interface of the adopted library"),
    ("emulator/", "the emulator source"),
    ("hls/", "the emulator source"),
    ("rtl/", "the RTL"),
    ("evidence/", "the evidence"),
)


def role_of(name: str) -> str:
    """Return what a file of a bundle is, in words."""
    return next((role for prefix, role in _ROLES if name.startswith(prefix)), "an unknown file")


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and found whole.

    Attributes:
        path: Its folder.
        digest: SHA-256 (hex) of its manifest: its identity.
        manifest: Slot, model, digests of recipe, contract and weights, threshold, and the files.
    """

    path: Path
    digest: str
    manifest: Mapping[str, Any]

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe it was made from."""
        return Recipe.from_json(self.read_json("recipe.json"))

    @cached_property
    def contract(self) -> Contract:
        """The firmware contract, with offsets and shifts."""
        return Contract.from_json(self.read_json("contract.json"))

    @cached_property
    def program(self) -> IntegerProgram:
        """The integer reference with its weights."""
        arrays = load_tensors((self.path / WEIGHTS).read_bytes())
        return IntegerProgram.assemble(self.read_json("program.json"), arrays)

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The parameters as they were trained, decoder and variance included."""
        return dict(load_tensors((self.path / CHECKPOINT).read_bytes()))

    @property
    def memory(self) -> dict[str, Any] | None:
        """The arrays of the memory of old events; None in a bundle from before there was one."""
        path = self.path / MEMORY
        return dict(load_tensors(path.read_bytes())) if path.exists() else None

    @property
    def threshold(self) -> int:
        """The integer threshold: an event passes when its integer score is not below it."""
        return int(self.manifest["threshold"])

    @cached_property
    def gates(self) -> tuple[GateResult, ...]:
        """The gate results it was made with."""
        return tuple(GateResult.from_json(one) for one in self.evidence("gates")["gates"])

    def scores(self, features: Features) -> Integers:
        """Return integer scores, shape ``(n_events,)``, of hardware integers of shape ``(n_inputs, n_events)``."""
        return self.program.run(self.contract, features)

    def evidence(self, name: str) -> dict[str, Any]:
        """Return one piece of evidence, e.g. ``proof``, ``dataset``, ``working_point``."""
        return self.read_json(f"evidence/{name}.json")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the bundle.

        Raises:
            BundleAlteredError: The file is not there or not JSON.
        """
        return read_json(self.path, name)


def load(path: Path, expected: str | None = None) -> Bundle:
    """Return the bundle at ``path`` after checking every byte of it.

    Args:
        path: Its folder.
        expected: The digest it must have; when None, the folder's name.

    Raises:
        BundleAlteredError: Something is not what the manifest says; the message names the file and what it is.
    """
    return _Check(path, expected or path.resolve().name).run()


def verify(path: Path, expected: str | None = None) -> str:
    """Return the digest of the bundle at ``path`` after checking every byte of it; see `load`."""
    return load(path, expected).digest


@dataclass(frozen=True)
class _Check:
    path: Path
    expected: str

    def run(self) -> Bundle:
        manifest, digest = read_manifest(self.path, self.expected, FORMAT)
        try:
            check_files(self.path, digest, manifest["files"])
            self.check_unity(manifest)
        except (KeyError, TypeError, AttributeError, ContractError, RecipeError) as error:
            raise altered(digest, f"a part has not the form of {FORMAT}: {error!r}") from error
        return Bundle(self.path, digest, manifest)

    def check_unity(self, manifest: Mapping[str, Any]) -> None:
        """Weights, scales, threshold and emulator name each other, so that none is exchanged alone."""
        bundle = Bundle(self.path, self.expected, manifest)
        files: Mapping[str, str] = manifest["files"]
        threshold, proof, told = bundle.read_json(THRESHOLD), bundle.evidence("proof"), bundle.read_json(METADATA)
        about = "the emulator's metadata"
        pairs: tuple[tuple[str, Any, Any, str], ...] = (
            ("weights", manifest["weights_digest"], files.get(WEIGHTS), "the manifest names other weights"),
            ("threshold", threshold["threshold"], manifest["threshold"], "the manifest names another threshold"),
            ("threshold", threshold["weights_digest"], files.get(WEIGHTS), "it was derived for other weights"),
            ("threshold", threshold["contract_digest"], bundle.contract.digest, "it was derived for other scales"),
            ("contract", manifest["contract_digest"], bundle.contract.digest, "the manifest names another contract"),
            ("recipe", manifest["recipe_digest"], bundle.recipe.digest, "the manifest names another recipe"),
            ("proof", proof["weights_digest"], files.get(WEIGHTS), "it was run for other weights"),
            ("proof", proof["contract_digest"], bundle.contract.digest, "it was run for other scales"),
            ("proof", proof["emulator_digest"], files.get(EMULATOR), "it was run on another emulator library"),
            ("proof", proof["plain_digest"], files.get(PLAIN), "it was run on another ONNX graph"),
            ("proof", proof["sources_digest"], sources_digest(files), "it was run on other emulator sources"),
            (about, told["digests"]["weights"], files.get(WEIGHTS), "they name other weights"),
            (about, told["digests"]["contract"], bundle.contract.digest, "they name other scales"),
            (about, told["digests"]["sources"], sources_digest(files), "they name other emulator sources"),
            (about, told["digests"]["library"], files.get(EMULATOR), "they name another emulator library"),
            (about, told["digests"]["onnx"], files.get(PLAIN), "they name another ONNX graph"),
            (about, told["threshold"]["integer"], manifest["threshold"], "they name another threshold"),
        )
        parent = bundle.recipe.champion if bundle.recipe.action == "threshold" else None
        pairs += (
            ("parent", manifest.get("parent"), parent, "its recipe names another"),
            ("proof", proof.get("inherited_from"), parent, "it was inherited from another bundle"),
        )
        for what, found, expected, meaning in pairs:
            if found != expected:
                raise altered(
                    self.expected, f"{what} does not belong to this bundle: {meaning} ({found} against {expected})"
                )


def altered(digest: str, what: str) -> BundleAlteredError:
    """Return the error that says what is wrong with the folder of a digest."""
    return BundleAlteredError(f"bundle {digest[:16]}: {what}; refuse it, and rebuild it from what it was made from")


def read_manifest(path: Path, expected: str, form: str) -> tuple[Mapping[str, Any], str]:
    """Return a folder's manifest and its digest, after checking that it is the expected one of that format.

    Raises:
        BundleOutdatedError: Another version of retrigger wrote it.
        BundleAlteredError: It is missing, another, or not written canonically.
    """
    try:
        raw = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleAlteredError(f"bundle {path}: no readable {MANIFEST} ({error}); not a bundle") from error
    manifest = read_json(path, MANIFEST)
    digest = digest_of_bytes(raw)
    if digest != expected:
        raise altered(expected, f"the manifest has digest {digest[:16]}; expected {expected[:16]}; it was altered")
    found = str(manifest.get("format"))
    family, _, number = form.rpartition("/")
    if found != form and found.startswith(f"{family}/"):
        earlier = found.removeprefix(f"{family}/") < number
        raise BundleOutdatedError(
            f"bundle {expected[:16]}: made by {'an earlier' if earlier else 'a later'} version of retrigger, in format "
            f"{found}; this one reads {form}; "
            + ("train again with this version" if earlier else "read it with the version that made it")
        )
    if found != form or raw != canonical(manifest):
        raise altered(expected, f"the manifest is not one of format {form}, written canonically")
    return manifest, digest


def check_files(path: Path, digest: str, listed: Mapping[str, str]) -> None:
    """See that every listed file has its SHA-256, and that no other file is there.

    Raises:
        BundleAlteredError: One is missing, changed or was added; it is named.
    """
    found = _files(path)
    for name in sorted(found - set(listed) - {MANIFEST}):
        raise altered(digest, f"{name} is not in the manifest; a file was added")
    for name, wanted in sorted(listed.items()):
        if name not in found:
            raise altered(digest, f"{role_of(name)} ({name}) is missing")
        now = digest_of_bytes((path / name).read_bytes())
        if now != wanted:
            raise altered(
                digest, f"{role_of(name)} changed: {name} has sha256 {now[:16]}; the manifest says {wanted[:16]}"
            )


def sources_digest(files: Mapping[str, str]) -> str:
    """Return one digest of every C++ and Verilog source among the digests of a bundle's files.

    The library is built from the sources and the metadata name their digest; neither is one of them.
    """
    kept = {n: d for n, d in files.items() if n.startswith(("hls/", "emulator/", "rtl/"))}
    sources = {n: d for n, d in kept.items() if n not in {EMULATOR, METADATA}}
    return digest_of_bytes(canonical(sources))


def file_digests(folder: Path) -> dict[str, str]:
    """Return name and SHA-256 (hex) of every file under a folder, names relative and with forward slashes."""
    return {name: digest_of_bytes((folder / name).read_bytes()) for name in sorted(_files(folder))}


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON, so that equal values are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical(value))


def write_tensors(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as safetensors, names sorted, so that equal arrays are equal bytes."""
    path.write_bytes(save_tensors({name: arrays[name] for name in sorted(arrays)}))


def seal(staging: Path, out: Path, identity: Mapping[str, Any]) -> Bundle:
    """Close a folder of files into a bundle: manifest last, then one atomic rename to its digest.

    Sealing what is already there returns the bundle that is there.

    Args:
        staging: The folder, on the same file system as ``out``; it is gone afterwards.
        out: Where bundles are kept.
        identity: ``slot``, ``model``, ``recipe_digest``, ``contract_digest`` and ``threshold``; ``parent`` when
            only the threshold is new.

    Raises:
        BundleAlteredError: A part is missing, or parts do not belong together.
    """
    files = file_digests(staging)
    files.pop(MANIFEST, None)
    return close(
        staging, out, {"format": FORMAT, **identity, "weights_digest": files.get(WEIGHTS, ""), "files": files}, load
    )


def close(staging: Path, out: Path, manifest: Mapping[str, Any], check: Callable[[Path, str], Kind]) -> Kind:
    """Write the manifest, check the whole, and rename the folder to its digest; see `seal`."""
    raw = canonical(manifest)
    digest = digest_of_bytes(raw)
    out.mkdir(parents=True, exist_ok=True)
    final = out / digest
    if not final.exists():
        (staging / MANIFEST).write_bytes(raw)
        sync_tree(staging)
        check(staging, digest)
        staging.replace(final)
        _sync(out)
    else:
        shutil.rmtree(staging)
    return check(final, digest)


def sync_tree(folder: Path) -> None:
    """Push every file and folder below to the disk, so that a rename afterwards names whole files."""
    for root, _, names in os.walk(folder):
        for name in names:
            _sync(Path(root) / name)
        _sync(Path(root))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(folder: Path) -> set[str]:
    out: set[str] = set()
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(root) / name
            if path.is_symlink():
                raise BundleAlteredError(f"bundle {folder}: {name} is a link; a bundle holds plain files only")
            if path.is_file():
                if path.stat().st_size > MAXIMUM_FILE_BYTES:
                    raise BundleAlteredError(f"bundle {folder}: {name} exceeds {MAXIMUM_FILE_BYTES} bytes")
                out.add(path.relative_to(folder).as_posix())
        if len(out) > MAXIMUM_FILES:
            raise BundleAlteredError(f"bundle {folder}: more than {MAXIMUM_FILES} files; not a bundle")
    return out


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return a JSON file of a folder.

    Raises:
        BundleAlteredError: The file is not there or not a JSON object.
    """
    try:
        value = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise BundleAlteredError(f"bundle {folder}: {role_of(name)} ({name}) cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise BundleAlteredError(f"bundle {folder}: {name} is not a JSON object")
    return value
