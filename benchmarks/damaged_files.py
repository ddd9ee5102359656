"""What retrigger makes of damaged files: `python benchmarks/damaged_files.py [--variants N] [--seed S]`.

Every variant is one real or simulated file with one kind of damage, read as the daemon reads it.  It must end as
accepted, waiting or quarantined with a reason; with a checksum beside it, damage must never be accepted.  Exit status 1
otherwise.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from drift.schema import AXOL1TL_57, NANOAOD_BITS, FeatureSchema
from drift.source import Accepted, FileContents, Limits, Outcome, Quarantined, Reader, Waiting

REAL = Path(__file__).parents[2] / "shared/data/real_root"
SLOW_BYTES = 60_000
LIMITS = Limits(memory_mib=2048, cpu_s=20.0, wall_s=40.0)


@dataclass(frozen=True)
class Original:
    """A sound file, the schema it is read under, and what reading it gives.

    Attributes:
        path: The file.
        schema: The schema.
        outcome: ``accepted``, ``waiting``, or the code of its refusal.
        digest: Of everything read; empty unless accepted.
    """

    path: Path
    schema: FeatureSchema
    outcome: str
    digest: str


@dataclass
class Report:
    """What became of the variants.

    Attributes:
        outcomes: How many, by (sidecar or not, kind of damage, outcome).
        codes: How many refusals by code.
        wrong: Damage accepted as other data although a checksum was beside it.
        unnamed: Refusals whose reason does not name the file.
        starts: Reading children started.
        readers: Readers used.
        rss_mib: Memory of this process before and after.
        seconds: Wall time.
        slowest_s: Longest reading of one file.
    """

    outcomes: Counter[tuple[bool, str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    starts: int = 0
    readers: int = 0
    rss_mib: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    slowest_s: float = 0.0

    def total(self, outcome: str, *, sidecar: bool) -> int:
        """Return how many variants with or without a sidecar ended so."""
        return sum(n for (beside, _, found), n in self.outcomes.items() if beside is sidecar and found == outcome)


def truncate(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the end off, sometimes a few bytes only."""
    cut = int(rng.integers(1, 200)) if rng.random() < 0.3 else int(rng.integers(1, len(content)))
    return content[: len(content) - cut]


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Turn one to eight bits over."""
    damaged = bytearray(content)
    for place in rng.integers(0, len(content), int(rng.integers(1, 9))):
        damaged[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def zero_hole(content: bytes, rng: np.random.Generator) -> bytes:
    """Write zeros over a stretch, as a sparse copy leaves them."""
    start, length = int(rng.integers(0, len(content))), int(rng.integers(1, 8192))
    end = min(start + length, len(content))
    return content[:start] + bytes(end - start) + content[end:]


def edit_integer(content: bytes, rng: np.random.Generator) -> bytes:
    """Write a telling 32-bit integer somewhere."""
    value = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x40000000, 0x00010000]))
    start = int(rng.integers(0, len(content) - 4))
    return content[:start] + value.to_bytes(4, "big") + content[start + 4 :]


def append_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Add noise at the end."""
    return content + rng.bytes(int(rng.integers(1, 5000)))


def swap_blocks(content: bytes, rng: np.random.Generator) -> bytes:
    """Exchange two blocks of 512 bytes."""
    blocks = len(content) // 512
    one, two = sorted(int(place) * 512 for place in rng.choice(blocks, 2, replace=False))
    middle = content[one + 512 : two]
    return content[:one] + content[two : two + 512] + middle + content[one : one + 512] + content[two + 512 :]


DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    truncate,
    flip_bits,
    zero_hole,
    edit_integer,
    append_bytes,
    swap_blocks,
)


def digest_of(contents: FileContents) -> str:
    """Return one digest of everything that was read of a file."""
    seen = hashlib.sha256()
    for one in contents.lumisections:
        seen.update(f"{one.run}:{one.lumisection}:{one.events}".encode())
        seen.update(one.features.tobytes())
        for kind in sorted(one.objects):
            columns = one.objects[kind]
            for values in (columns.pt, columns.eta, columns.phi):
                seen.update(values.tobytes())
    seen.update(repr(sorted(contents.menu_bits.items())).encode())
    return seen.hexdigest()


def label(outcome: Outcome) -> str:
    """Return an outcome in one word."""
    if isinstance(outcome, Accepted):
        return "accepted"
    return "waiting" if isinstance(outcome, Waiting) else outcome.code


def originals(paths: Sequence[Path], schema: FeatureSchema) -> list[Original]:
    """Read sound files once."""
    found = []
    with Reader(schema, LIMITS) as reader:
        for path in paths:
            outcome = reader.read(path)
            digest = digest_of(outcome.contents) if isinstance(outcome, Accepted) else ""
            found.append(Original(path, schema, label(outcome), digest))
    return found


def campaign(files: Sequence[Original], variants: int, seed: int, *, workers: int = 2) -> Report:
    """Read so many damaged variants and say what became of them; small files are damaged more often."""
    report = Report(readers=0)
    weights = np.array([1.0 / max(file.path.stat().st_size, SLOW_BYTES) for file in files])
    before = psutil.Process().memory_info().rss
    began = time.monotonic()

    def work(worker: int) -> None:
        readers = {schema.name: Reader(schema, LIMITS) for schema in (AXOL1TL_57, NANOAOD_BITS)}
        try:
            for number in range(worker, variants, workers):
                rng = np.random.default_rng([seed, number])
                file = files[int(rng.choice(len(files), p=weights / weights.sum()))]
                _one(report, readers[file.schema.name], file, number, rng)
        finally:
            used = [reader for reader in readers.values() if reader.starts]
            report.starts += sum(reader.starts for reader in used)
            report.readers += len(used)
            for reader in readers.values():
                reader.close()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, worker) for worker in range(workers)]:
            done.result()
    after = psutil.Process().memory_info().rss
    report.rss_mib = (before / 2**20, after / 2**20)
    report.seconds = time.monotonic() - began
    return report


def _one(report: Report, reader: Reader, file: Original, number: int, rng: np.random.Generator) -> None:
    sidecar = number % 4 >= 2
    damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
    content = file.path.read_bytes()
    damaged = damage(content, rng)
    with tempfile.TemporaryDirectory(prefix="retrigger-damaged-") as folder:
        path = Path(folder) / file.path.name
        path.write_bytes(damaged)
        if sidecar:
            path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
        began = time.monotonic()
        outcome = reader.read(path)
        report.slowest_s = max(report.slowest_s, time.monotonic() - began)
    word = label(outcome)
    if isinstance(outcome, Accepted):
        same = digest_of(outcome.contents) == file.digest
        word = "accepted identical" if same else "accepted different"
        if sidecar and damaged != content:
            report.wrong.append(f"variant {number}: {damage.__name__} of {file.path.name} accepted beside a checksum")
    if isinstance(outcome, Quarantined):
        report.codes[word] += 1
        if file.path.name not in outcome.reason:
            report.unnamed.append(f"variant {number}: {outcome.reason}")
        word = "quarantined"
    report.outcomes[sidecar, damage.__name__, word] += 1


def show(report: Report) -> None:
    """Print the tables."""
    words = ("accepted identical", "accepted different", "waiting", "quarantined")
    for sidecar in (False, True):
        print(f"\n{'with' if sidecar else 'without'} a checksum beside the file")
        print(f"  {'damage':<14}" + "".join(f"{word:>20}" for word in words))
        for damage in (*(one.__name__ for one in DAMAGES), ""):
            counts = [
                report.total(word, sidecar=sidecar) if not damage else report.outcomes[sidecar, damage, word]
                for word in words
            ]
            print(f"  {damage or 'all':<14}" + "".join(f"{count:>20}" for count in counts))
    print("\nrefusals: " + ", ".join(f"{code} {count}" for code, count in report.codes.most_common()))
    print(f"reading children started: {report.starts} by {report.readers} readers (more means that one died)")
    print(f"memory of this process: {report.rss_mib[0]:.0f} MiB before, {report.rss_mib[1]:.0f} MiB after")
    print(
        f"{sum(report.outcomes.values())} variants in {report.seconds:.0f} s, slowest reading {report.slowest_s:.1f} s"
    )


def simulated(folder: Path) -> list[Path]:
    """Write two small simulated files, as TTree and as RNTuple."""
    from drift.simulate import simulate  # noqa: PLC0415 numba is paid for only here

    for storage in ("ttree", "rntuple"):
        simulate(
            "none",
            1,
            1,
            folder / storage,
            lumisections_per_fill=4,
            events_per_lumisection=50,
            lumisections_per_file=4,
            storage=storage,
            first_fill=9500,
            progress=None,
            workers=1,
        )
    return sorted(folder.glob("*/incoming/*.root"))


def main() -> int:
    """Run the campaign and return its exit status."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--variants", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument(
        "--l1nano", type=Path, nargs="*", help="L1Nano files to damage; left out: two small simulated ones"
    )
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="retrigger-l1nano-"))
    try:
        real = sorted(REAL.glob("*.root"))
        if not real:
            print(f"{REAL} has no files: only simulated ones are damaged")
        nano = given.l1nano or simulated(folder)
        files = originals(real, NANOAOD_BITS) + originals(nano, AXOL1TL_57)
        for file in files:
            print(f"{file.path.name:<75} {file.schema.name:<13} {file.outcome}")
        report = campaign(files, given.variants, given.seed, workers=given.workers)
    finally:
        shutil.rmtree(folder)
    show(report)
    for problem in (*report.wrong, *report.unnamed):
        print(problem)
    return 1 if report.wrong or report.unnamed else 0


if __name__ == "__main__":
    sys.exit(main())
