"""A package that is installed beside retrigger adds failure modes; one that is broken is named and left out."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from drift.faults import Gain
from drift.library import SHIPPED, FailureMode
from drift.plug_ins import GROUP, Modes, gathered, installed, tried
from drift.schema import AXOL1TL_57
from drift.specimens import Specimens

ROOT = Path(__file__).parents[3]
MODULE = """
from drift.faults import Gain
from drift.library import FailureMode

PRESHOWER = FailureMode(
    "preshower", "gain of the preshower", "preshower", "EG", "ageing_or_calibration", 0.02, 0.5,
    lambda a: Gain(1 + a, ("EG",), met=False), -0.5,
)


def several():
    yield FailureMode("one", "one", "mine", "EG", "broken_detector", 0.1, 1.0, lambda a: Gain(1 + a))
    yield FailureMode("two", "two", "mine", "EG", "broken_detector", 0.1, 1.0, lambda a: Gain(1 + a))


def raises():
    raise RuntimeError("the cavern is dark")


def twice():
    return [PRESHOWER, FailureMode("gain", "gain", "x", "", "broken_detector", 0.1, 1.0, lambda a: Gain(1 + a))]


NONSENSE = 42
EMPTY = ()
WORDS = ("preshower",)
"""


@pytest.fixture
def package(tmp_path):
    """A distribution as pip would leave it: a module, and metadata with entry points."""

    def installed_with(**points):
        (tmp_path / "preshower_faults.py").write_text(MODULE, encoding="utf-8")
        metadata = tmp_path / "preshower_faults-1.0.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: preshower-faults\nVersion: 1.0\n")
        lines = [f"{name} = preshower_faults:{target}" for name, target in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")
        code = (
            "from drift.plug_ins import installed; from drift.library import SHIPPED; found = installed(); "
            "print([one.name for one in found.modes[len(SHIPPED):]]); print(found.refused)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": ""},
        )
        return answer.stdout.splitlines()

    return installed_with


def test_an_installed_package_adds_one_mode_or_several(package):
    assert package(preshower="PRESHOWER", several="several") == ["['preshower', 'one', 'two']", "()"]


def test_a_broken_package_is_named_with_its_error_and_the_others_count(package):
    found, refused = package(a="raises", b="NONSENSE", c="PRESHOWER", d="missing")

    assert found == "['preshower']"
    assert "entry point 'a'" in refused
    assert "RuntimeError: the cavern is dark" in refused
    assert "entry point 'b'" in refused
    assert "entry point 'd'" in refused


def test_a_name_that_is_taken_and_things_that_are_no_modes_are_refused(package):
    found, refused = package(a="twice", b="EMPTY", c="WORDS")

    assert found == "[]"
    assert "there is a failure mode named gain already" in refused
    assert "it gives nothing" in refused
    assert "it gives a str" in refused


def test_without_packages_the_library_is_what_ships():
    assert gathered([]).modes == SHIPPED
    assert installed().modes[: len(SHIPPED)] == SHIPPED
    assert (
        gathered([EntryPoint("x", "no_such_module:y", GROUP)]).refused[0].startswith("failure modes of entry point 'x'")
    )


def nothing(size):
    return Gain(1.0)


def divides(size):
    return size / 0


class Wrong:
    def apply(self, recorded, rng):
        return None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, "changes nothing in 400 events"),
        (divides, "raises ZeroDivisionError"),
        (lambda _: None, "raises AttributeError"),
        (lambda _: Wrong(), "raises AttributeError"),
    ],
)
def test_a_mode_that_cannot_be_replayed_is_left_out_and_named_and_the_others_stay(toy, make, words):
    rng = np.random.default_rng(3)
    specimens = Specimens(AXOL1TL_57, rng)
    specimens.add(toy.events(1, 1, 45.0, 400, rng), 45.0)
    group = specimens.groups(40.0, 50.0)[0]
    mine = FailureMode("mine", "mine", "mine", "EG", "broken_detector", 0.1, 1.0, make)
    good = FailureMode("good", "good", "mine", "EG", "broken_detector", 0.1, 1.0, lambda a: Gain(1 + a))

    found = tried(Modes((*SHIPPED, mine, good), ()), group.recorded, AXOL1TL_57, group.pileup, rng)

    assert found.modes == (*SHIPPED, good)
    assert len(found.refused) == 1
    assert "'mine' is left out" in found.refused[0]
    assert words in found.refused[0]
