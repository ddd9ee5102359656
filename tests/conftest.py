"""What every test may ask for: a small simulated stream, made once, and the shared facts where they are present."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from drift.simulate import SimulatedStream

ROOT = Path(__file__).parents[1]
SEED = 1

settings.register_profile("no clock", deadline=None)  # a busy machine is no failure
settings.load_profile("no clock")

LONG = tuple(ROOT / "tests" / name for name in ("e2e", "contract", "simulation", "unit/retrain"))


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the files of long tests first, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(one) for one in LONG))


@pytest.fixture(scope="session")
def simulated_fills(tmp_path_factory: pytest.TempPathFactory) -> SimulatedStream:
    """Two undisturbed fills of 12 lumisections and 60 events, in files of at most 4; read-only, one for all workers."""
    from drift.simulate import SimulatedStream, simulate  # numba is paid by those who ask

    base = tmp_path_factory.getbasetemp()
    shared_by_workers = base.parent if base.name.startswith("popen-") else base
    out = shared_by_workers / "simulated_fills"
    with (shared_by_workers / "simulated_fills.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shared_by_workers / "simulated_fills.done"
        if not done.exists():
            simulate("none", 2, SEED, out, lumisections_per_fill=12, events_per_lumisection=60, lumisections_per_file=4)
            done.touch()
    files = sorted((out / "incoming").glob("*.root"))
    return SimulatedStream(tuple(files), out / "conditions", out / "truth" / "truth.json")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of facts and real files beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: the shared data are not part of the repository")
    return folder
