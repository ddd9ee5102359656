"""How integer tables become a few kB of bytes that notice every altered byte.

A sealed blob is a JSON head and named int64 tables: byte planes (most of them zero), zstd, and one SHA-256 over
everything, checked before anything is unpacked.  Nothing here knows what the tables mean.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from drift.errors import SummaryError

MAGIC = b"RTLS"
VERSION = 3
"""Goes up when the bytes, or what a table counts, mean something else."""
DIGEST_BYTES = 32
LARGEST = 2**28
"""Bytes a body may unpack to; a lumisection has below 2 MB."""
_FRONT = struct.Struct("<4sHI")


def seal(head: Mapping[str, Any], tables: Mapping[str, NDArray[np.int64]]) -> bytes:
    """Return a versioned, checksummed, compressed copy."""
    shapes = [(name, table.shape) for name, table in tables.items()]
    text = json.dumps({**head, "tables": shapes}, separators=(",", ":")).encode()
    planes = [
        np.ascontiguousarray(table.astype("<i8").reshape(-1, 1).view(np.uint8).T).tobytes() for table in tables.values()
    ]
    body = struct.pack("<I", len(text)) + text + b"".join(planes)
    front = _FRONT.pack(MAGIC, VERSION, len(body))
    packed = zstandard.ZstdCompressor(level=9).compress(body)
    return front + hashlib.sha256(front + packed).digest() + packed


def unseal(blob: bytes) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
    """Return head and tables.

    Raises:
        SummaryError: The bytes are not sealed tables, of another version, or altered.
    """
    start = _FRONT.size + DIGEST_BYTES
    if len(blob) < start or blob[: len(MAGIC)] != MAGIC:
        raise SummaryError("these bytes are not a lumisection summary; count the run file again")
    _, version, size = _FRONT.unpack_from(blob)
    if version != VERSION:
        raise SummaryError(f"the summary has version {version}, this program reads {VERSION}; count it again")
    if hashlib.sha256(blob[: _FRONT.size] + blob[start:]).digest() != blob[_FRONT.size : start] or size > LARGEST:
        raise SummaryError("the summary does not match its checksum; count the run file again")
    try:
        body = zstandard.ZstdDecompressor().decompress(blob[start:], max_output_size=size)
    except zstandard.ZstdError as cause:
        raise SummaryError(f"the summary is damaged ({cause}); count the run file again") from cause
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    tables, place = {}, 4 + length
    for name, shape in head.pop("tables"):
        cells = math.prod(shape)
        planes = np.frombuffer(body, dtype=np.uint8, count=8 * cells, offset=place).reshape(8, cells)
        tables[name] = np.ascontiguousarray(planes.T).view("<i8").reshape(shape).astype(np.int64)
        place += 8 * cells
    return head, tables
