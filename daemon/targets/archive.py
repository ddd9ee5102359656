"""A bundle's folder as one file, the same bytes for the same folder, and back again within limits.

What comes back from a registry or a mirror is a stranger's file until its digest is known: it is unpacked into plain
files and folders only, never outside its place, never more than the limits.  Nothing here knows where it came from.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from daemon.deploy import Verify, whole
from daemon.errors import DeployError, UntrustedError

MOST_FILES = 4000
MOST_BYTES = 2 * 2**30
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Packed:
    """One archive: where it lies, its SHA-256 (hex) and its length in bytes."""

    path: Path
    sha256: str
    length: int


def pack(bundle: Path, out: Path) -> Packed:
    """Write a folder as one tar archive whose bytes depend on names, contents and the executable bit alone.

    Raises:
        DeployError: The folder holds a link or something that is no file; a bundle holds its own bytes.
    """
    with out.open("xb") as sink, tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise DeployError(f"{path} is a link or no file; a bundle holds its own bytes, rebuild it")
            if path.is_dir():
                continue
            member = tarfile.TarInfo(path.relative_to(bundle).as_posix())
            member.size = path.stat().st_size
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as source:
                archive.addfile(member, source)
    with out.open("rb") as written:
        return Packed(out, hashlib.file_digest(written, "sha256").hexdigest(), out.stat().st_size)


def unpack(archive: Path, goal: Path, *, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
    """Unpack an archive into a new folder.

    Raises:
        UntrustedError: ``odd_archive``: it is no tar, or holds a link, a device, a name twice or a name that leads out
            of the folder; ``endless``: more files or bytes than allowed.
    """
    goal.mkdir(parents=True)
    files, total = 0, 0
    try:
        with tarfile.open(archive, mode="r|") as stream:
            for member in stream:
                files, total = files + 1, total + max(member.size, 0)
                if files > most_files or total > most_bytes:
                    raise UntrustedError("endless", f"the archive holds more than {most_files} files or {most_bytes} B")
                _take(stream, member, goal)
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise UntrustedError("odd_archive", f"the archive cannot be unpacked: {error}") from error


def _take(stream: tarfile.TarFile, member: tarfile.TarInfo, goal: Path) -> None:
    name = PurePosixPath(member.name)
    source = stream.extractfile(member) if member.isreg() else None
    if source is None or name.is_absolute() or ".." in name.parts or not name.parts:
        raise UntrustedError("odd_archive", f"the archive holds {member.name!r}, which is no plain file inside it")
    path = goal / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise UntrustedError("odd_archive", f"the archive holds {member.name!r} twice")
    with path.open("xb") as out:
        while block := source.read(_BLOCK):
            out.write(block)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


@contextmanager
def checked_archive(verify: Verify, bundle: Path, digest: str) -> Iterator[Packed]:
    """Yield a bundle as one archive that gives this digest when it is unpacked again; it is gone after the block.

    Raises:
        DeployError: The bundle is not whole or not this one: checked are the bytes that leave, not those read before.
    """
    whole(verify, bundle, digest)
    with TemporaryDirectory(prefix="retrigger-archive-") as place:
        packed = pack(bundle, Path(place) / "archive")
        unpack(packed.path, Path(place) / "again")
        whole(verify, Path(place) / "again", digest)
        yield packed


def believed(verify: Verify, folder: Path, digest: str, name: str, said: str) -> str:
    """Return the digest of a bundle that a stranger served, if it is the one that was named.

    Args:
        verify: Makes the digest of its bytes.
        folder: Where it was unpacked.
        digest: Which one it should be.
        name: Of the target.
        said: Who says that it should be, as the beginning of a sentence, such as ``the artifact says``.

    Raises:
        UntrustedError: ``altered`` or ``wrong_bundle``.
    """
    try:
        found = verify(folder)
    except Exception as error:  # any way a bundle can be damaged ends in this sentence
        raise UntrustedError(
            "altered", f"{name}: {digest[:16]} was altered or is unreadable: {error}; roll back"
        ) from error
    if found != digest:
        raise UntrustedError("wrong_bundle", f"{name}: {said} {digest[:16]}, what is served is {found[:16]}; roll back")
    return found
