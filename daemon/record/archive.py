"""A tar archive that has exactly one form: sorted names, no times, no owners, plain files, no compression.

So equal contents are equal bytes, and an archive can be checked by making it again.  Reading one trusts nothing: names
that lead elsewhere, links, devices, doubled names, and more than a bundle can hold are refused before they are written.
"""

import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from daemon.errors import EvidenceError

MAXIMUM_FILES = 2_200
MAXIMUM_FILE_BYTES = 512 * 2**20
MAXIMUM_BYTES = 4 * 2**30
BLOCK = 1 << 20


def write(sink: BinaryIO, files: Iterable[tuple[str, bytes | Path]]) -> None:
    """Write files, as (name, content or where the content is), in the order of their names."""
    with tarfile.open(fileobj=sink, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files, key=lambda pair: pair[0]):
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            if isinstance(content, Path):
                entry.size = content.stat().st_size
                with content.open("rb") as source:
                    archive.addfile(entry, source)
            else:
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))


def is_archive(path: Path) -> bool:
    """Return whether a file begins as a tar archive does."""
    with path.open("rb") as source:
        head = source.read(512)
    return len(head) == 512 and head[257:262] == b"ustar"


def unpack(path: Path, folder: Path) -> list[str]:
    """Write the files of an archive below a folder, and return their names in order.

    Raises:
        EvidenceError: It is no such archive, holds something it must not, or was changed in any bit.
    """
    names: list[str] = []
    total = 0
    try:
        with tarfile.open(path, mode="r:") as archive:
            for entry in archive:
                names.append(_allowed(entry, names, path))
                total += entry.size
                if total > MAXIMUM_BYTES or len(names) > MAXIMUM_FILES:
                    raise EvidenceError(
                        f"{path}: holds more than {MAXIMUM_FILES} files or {MAXIMUM_BYTES} bytes; no bundle is so large"
                    )
                goal = folder / entry.name
                goal.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(entry)
                assert source is not None
                with goal.open("wb") as sink:
                    _copy(source, sink)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise EvidenceError(f"{path}: cannot be read as an archive of evidence ({error}); it was damaged") from error
    with path.open("rb") as original:
        same = _Same(original, path)
        write(same, [(name, folder / name) for name in names])  # type: ignore[arg-type]  # tarfile only writes and tells
        same.at_end()
    return names


def _allowed(entry: tarfile.TarInfo, before: list[str], path: Path) -> str:
    parts = PurePosixPath(entry.name).parts
    plain = entry.type == tarfile.REGTYPE and not entry.issparse()
    if not plain:
        raise EvidenceError(f"{path}: {entry.name!r} is a link, a folder or a device; only plain files may be in it")
    inside = parts and ".." not in parts and not entry.name.startswith("/") and "/".join(parts) == entry.name
    if not inside or "\\" in entry.name or "\0" in entry.name:
        raise EvidenceError(f"{path}: the name {entry.name!r} leads out of the archive; refuse it")
    if before and entry.name <= before[-1]:
        raise EvidenceError(f"{path}: {entry.name!r} stands twice, or out of order")
    if not 0 <= entry.size <= MAXIMUM_FILE_BYTES:
        raise EvidenceError(f"{path}: {entry.name!r} has {entry.size} bytes, at most {MAXIMUM_FILE_BYTES} are read")
    return entry.name


def _copy(source: object, sink: BinaryIO) -> None:
    while block := source.read(BLOCK):  # type: ignore[attr-defined]  # typeshed has no common name for readers
        sink.write(block)


class _Same:
    """Takes what is written and holds it against what an archive has at that place."""

    def __init__(self, original: BinaryIO, path: Path) -> None:
        self._original = original
        self._path = path
        self._at = 0

    def write(self, block: bytes) -> int:
        """Compare instead of writing."""
        if self._original.read(len(block)) != block:
            raise EvidenceError(f"{self._path}: is not written as an archive of evidence is; it was damaged or edited")
        self._at += len(block)
        return len(block)

    def tell(self) -> int:
        """Say how much was compared."""
        return self._at

    def at_end(self) -> None:
        """Make sure that nothing comes after."""
        if self._original.read(1):
            raise EvidenceError(f"{self._path}: goes on after its end; something was added")
