"""Whether a file's bytes are those that its writer counted.

uproot checks a checksum for LZ4 blocks alone; one flipped bit in an uncompressed or ZSTD basket is read as other data.
A sidecar written by the transfer system is the only full proof, so it is used whenever there is one.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from drift.source.naming import sidecar_names
from drift.source.refusal import RefusedFileError

CHUNK_BYTES = 1 << 20
_LINE = re.compile(r"([0-9a-fA-F]+)(?:\s+\*?(\S.*))?")
_DIGITS = {".sha256": 64, ".adler32": 8}
SIDECAR_LIMIT_BYTES = 4096


@dataclass(frozen=True)
class Digests:
    """What the bytes of one file hash to.

    Attributes:
        sha256: 64 lower-case hex digits.
        adler32: 8 lower-case hex digits.
        bytes: How many bytes were read.
    """

    sha256: str
    adler32: str
    bytes: int


def digests_of(path: Path) -> Digests:
    """Return both checksums of a file, reading it once.

    Raises:
        OSError: It cannot be read.
    """
    sha, adler, size = hashlib.sha256(), 1, 0
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha.update(chunk)
            adler = zlib.adler32(chunk, adler)
            size += len(chunk)
    return Digests(sha.hexdigest(), f"{adler:08x}", size)


def sidecar_of(path: Path) -> Path | None:
    """Return the checksum file beside a run file, or None."""
    for name in sidecar_names(path.name):
        if (path.parent / name).is_file():
            return path.parent / name
    return None


def check_sidecar(path: Path, sidecar: Path, found: Digests) -> None:
    """Compare a file with its sidecar (the output form of ``sha256sum`` or ``xrdadler32``, or the digits alone).

    Raises:
        RefusedFileError: They differ, or the sidecar holds no such checksum or is for another file.
    """
    digits = _DIGITS[sidecar.suffix]
    with sidecar.open("rb") as stream:
        text = stream.read(SIDECAR_LIMIT_BYTES).decode("utf-8", errors="replace").strip()
    match = _LINE.fullmatch(text)
    if match is None or len(match[1]) != digits:
        raise RefusedFileError(
            "sidecar_unreadable",
            f"{sidecar.name} holds {text[:60]!r}, expected {digits} hex digits; write it again",
        )
    named = match[2]
    if named is not None and Path(named).name != path.name:
        raise RefusedFileError(
            "sidecar_unreadable",
            f"{sidecar.name} is for {Path(named).name}, expected {path.name}; put the right checksum beside the file",
        )
    actual = found.sha256 if sidecar.suffix == ".sha256" else found.adler32
    if match[1].lower() != actual:
        raise RefusedFileError(
            "checksum_mismatch",
            f"{path.name} has {sidecar.suffix[1:]} {actual}, {sidecar.name} says {match[1].lower()}: "
            "the bytes were changed or lost on the way; transfer the file again",
        )
