"""The units are read by systemd's own tools, without a word of complaint."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
HIGHEST_EXPOSURE = 2.0  # reliability.md S5; a bare unit scores 9.6

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def with_a_real_program(unit: Path, folder: Path) -> Path:
    text, found = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
    assert found == 1
    copy = folder / unit.name
    copy.write_text(text)
    return copy


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_the_unit_without_a_word(unit, tmp_path):
    done = verify(with_a_real_program(unit, tmp_path))

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_have_complained_about_a_misspelt_key(tmp_path):
    unit = with_a_real_program(UNITS[0], tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSecs="))

    done = verify(unit)

    assert "WatchDogSecs" in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_hardened(unit, tmp_path):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", with_a_real_program(unit, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)

    assert score is not None, done.stderr
    assert float(score[1]) <= HIGHEST_EXPOSURE


def test_both_units_share_one_user_and_one_state_folder():
    texts = [unit.read_text() for unit in UNITS]

    assert len(UNITS) == 2
    for line in ("DynamicUser=yes", "User=retrigger", "StateDirectory=retrigger", "Type=notify"):
        assert all(f"\n{line}\n" in text for text in texts)
