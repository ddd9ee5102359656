"""A champion that came as an emulator library and nothing else.

It can be scored with, compared by score, put on record and fallen back to; there are no weights to look into.  Its
folder is named by the digest of its manifest, as a bundle's is.  Nothing here proves that the library is right.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from retrain import bundle
from retrain.bridge import ask
from retrain.contract import Contract, Features
from retrain.errors import BundleAlteredError, ContractError
from retrain.fixed_point import FixedPoint, Integers

FORMAT = "retrigger-adopted/1"
LIBRARY = "emulator/library.so"
BRIDGE = "emulator/bridge"
INTERFACE = "interface.json"
CONTRACT = "contract.json"
LACKS = (
    "no weights and no QONNX graph: a candidate is compared with it by score alone",
    "no proof: nobody here has seen the library agree with anything",
    "no recipe: the data it learned from are not known",
    "scales on trust: the library holds its own, and they cannot be read out of it",
    "inner types are those of this socket, not the library's",
)


@dataclass(frozen=True)
class Interface:
    """What the library is given and gives, as C++ types.

    Attributes:
        port: Of one input; ``prepare_input`` is given a pointer to them.
        latent: Of what comes before the score in a pair; empty when ``read_result`` fills a bare score.
        latent_values: How many of them stand in an array; 0 when it is one value and no array.
        score: Of the score.

    Raises:
        ContractError: A type cannot be parsed.
    """

    port: str
    latent: str
    latent_values: int
    score: str

    def __post_init__(self) -> None:
        for text in (self.port, self.score, *([self.latent] if self.latent else [])):
            FixedPoint.parse(text)
        if FixedPoint.parse(self.score).width > 31 or not 0 <= self.latent_values <= 1024:
            raise ContractError(f"interface {self}: expected a score of at most 31 bits and 0 to 1024 latent values")

    @property
    def result(self) -> str:
        """The C++ type to which ``read_result`` is given a pointer."""
        if not self.latent:
            return self.score
        first = f"std::array<{self.latent},{self.latent_values}>" if self.latent_values else self.latent
        return f"std::pair<{first},{self.score}>"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the four fields.

        Raises:
            ContractError: One is missing or of another kind.
        """
        try:
            return cls(str(value["port"]), str(value["latent"]), int(value["latent_values"]), str(value["score"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"interface cannot be read: {error!r}; expected port, latent, latent_values, score"
            ) from error


KNOWN = {
    "cmssw-v4": Interface("ap_fixed<18,13>", "ap_fixed<10,7,AP_RND_CONV,AP_SAT>", 8, "ap_ufixed<18,14>"),
    "cmssw": Interface("ap_fixed<18,13>", "ap_fixed<18,14,AP_RND_CONV,AP_SAT>", 0, "ap_ufixed<18,14>"),
    "score": Interface("ap_fixed<18,13>", "", 0, "ap_fixed<18,14,AP_RND_CONV,AP_SAT>"),
}
"""What CMSSW asks of AXOL1TL's libraries: of v3 and v4, by default, and a bare score as the library of v6 gives it.

References:
    cms-sw/cmssw, L1Trigger/L1TGlobal/src/AXOL1TLCondition.cc; cms-hls4ml/AXOL1TL, GTADModel_emulator_v6.cpp.
"""


@dataclass(frozen=True)
class Adopted:
    """An adopted library that was read and found whole.

    Attributes:
        path: Its folder.
        digest: SHA-256 (hex) of its manifest: its identity.
        manifest: Slot, digest of the contract, threshold, what it lacks, and the files.
    """

    path: Path
    digest: str
    manifest: Mapping[str, Any]

    @cached_property
    def contract(self) -> Contract:
        """The socket, with the offsets and shifts that came with the library."""
        return Contract.from_json(bundle.read_json(self.path, CONTRACT))

    @cached_property
    def interface(self) -> Interface:
        """How the library is called."""
        return Interface.from_json(bundle.read_json(self.path, INTERFACE))

    @property
    def threshold(self) -> int:
        """The integer threshold: an event passes when its integer score is not below it."""
        return int(self.manifest["threshold"])

    def scores(self, features: Features) -> Integers:
        """Return integer scores, shape ``(n_events,)``, of hardware integers of shape ``(n_inputs, n_events)``.

        Raises:
            EmulatorFailedError: The library crashed, took too long or refused an event.
        """
        return ask(self.path / BRIDGE, self.path / LIBRARY, features)


def load(path: Path, expected: str | None = None) -> Adopted:
    """Return the adopted library at ``path`` after checking every byte of it.

    Args:
        path: Its folder.
        expected: The digest it must have; when None, the folder's name.

    Raises:
        BundleAlteredError: Something is not what the manifest says.
    """
    manifest, digest = bundle.read_manifest(path, expected or path.resolve().name, FORMAT)
    try:
        bundle.check_files(path, digest, manifest["files"])
        found = Adopted(path, digest, manifest)
        if found.contract.digest != manifest["contract_digest"] or found.interface.port != found.contract.port:
            raise bundle.altered(digest, "contract and interface are not those the manifest was written for")
    except (KeyError, TypeError, AttributeError, ContractError) as error:
        raise bundle.altered(digest, f"a part has not the form of {FORMAT}: {error!r}") from error
    return found


def is_adopted(path: Path) -> bool:
    """Return whether a folder says that it is an adopted library; nothing is checked."""
    try:
        return bool(bundle.read_json(path, bundle.MANIFEST).get("format") == FORMAT)
    except BundleAlteredError:
        return False


def seal(staging: Path, out: Path, contract: Contract, threshold: int) -> Adopted:
    """Close a folder of files into an adopted champion, named by its digest; see `retrain.bundle.seal`."""
    files = bundle.file_digests(staging)
    manifest = {
        "format": FORMAT,
        "slot": contract.name,
        "contract_digest": contract.digest,
        "threshold": threshold,
        "lacks": list(LACKS),
        "files": files,
    }
    return bundle.close(staging, out, manifest, load)


def write_interface(folder: Path, interface: Interface) -> None:
    """Write how the library is called."""
    bundle.write_json(folder / INTERFACE, asdict(interface))
