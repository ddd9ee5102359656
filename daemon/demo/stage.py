"""What must be there before the first fill: configuration, reference, champion, accounts, and the fills to come."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import SetupError

MARK = ".retrigger-demo"
PASSWORDS = {"ada": "correct horse", "bo": "battery staple", "cleo": "tricky beam dump"}
ROLES = {"ada": "ml_expert", "bo": "trigger_oncall", "cleo": "coordinator"}


@dataclass(frozen=True)
class Act:
    """One stretch of data taking: which scenario, how many fills, and what should come of it."""

    name: str
    scenario: str
    fills: int
    seed: int
    first_fill: int
    title: str


ACTS = (
    Act("quiet", "pu_step,ps_column", 2, 31, 9600, "two fills with a pileup step and prescale-column changes"),
    Act("broken", "hem1516", 1, 32, 9620, "a fill in which HCAL sectors 15/16 of the minus endcap lose power"),
    Act("ageing", "ecal_transparency:f=0.10", 5, 48, 9640, "five fills; ECAL loses transparency from the third on"),
)
REFERENCE = Act("reference", "none", 6, 30, 9500, "six healthy fills to learn what is normal")


@dataclass(frozen=True)
class Scale:
    """How much is simulated: lumisections a fill, events a lumisection, lumisections a file."""

    lumisections: int = 50
    events: int = 500
    block: int = 10


def retrigger(*words: str, password: str | None = None) -> list[dict[str, Any]]:
    """Run one verb with `--json` and return its lines.

    Raises:
        SetupError: The verb left with status 2; its message is passed on.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
        input=None if password is None else password + "\n",
    )
    if answer.returncode == 2:
        raise SetupError(f"retrigger {' '.join(words[:2])}: {answer.stderr.strip() or 'no message'}")
    return [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fresh(folder: Path) -> None:
    """Make an empty demo folder; one that is not ours is left alone.

    Raises:
        SetupError: Something else lies there.
    """
    if folder.exists() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise SetupError(f"{folder} is not empty and not a demo of ours; name another folder with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def configure(folder: Path, *, metrics_port: int, web_port: int) -> Path:
    """Write the demo's configuration: the shipped one with short waits and small statistics."""
    path = folder / "retrigger.toml"
    retrigger("init", str(folder))
    text = path.read_text(encoding="utf-8")
    quick = {
        "poll_s = 5.0": "poll_s = 0.3",
        "stable_s = 5.0": "stable_s = 0.0",
        "gap_grace_s = 600.0": "gap_grace_s = 20.0",
        "grace_s = 900.0": "grace_s = 20.0",
        "beam_mode_stale_s = 900.0": "beam_mode_stale_s = 7200.0",
        "target_rate_hz = 1000.0": "target_rate_hz = 200000.0",
        "minimum_lumisections = 500": "minimum_lumisections = 90",
        "maximum_lumisections = 5000": "maximum_lumisections = 400",
        "epochs = 20": "epochs = 10",
        "batch_events = 4096": "batch_events = 768",
        "vectors = 1000000": "vectors = 100000",
        "synthesise = true": "synthesise = false",
        "127.0.0.1:8080": f"127.0.0.1:{web_port}",
        "127.0.0.1:9108": f"127.0.0.1:{metrics_port}",
    }
    for before, after in quick.items():
        if before not in text:
            raise SetupError(f"the shipped configuration has no line {before!r}; the demo must follow it")
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
    return path


def simulate(folder: Path, act: Act, scale: Scale, workers: int) -> subprocess.Popen[str]:
    """Start to simulate one stretch into ``staged/NAME``."""
    words = [
        "simulate",
        str(folder / "staged" / act.name),
        *("--scenario", act.scenario),
        *("--fills", str(act.fills)),
        *("--seed", str(act.seed)),
        *("--lumisections", str(scale.lumisections)),
        *("--events", str(scale.events)),
        *("--block", str(scale.block)),
        *("--first-fill", str(act.first_fill)),
        *("--workers", str(workers)),
        "--json",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "daemon", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(child: subprocess.Popen[str], what: str) -> None:
    """Wait for a child.

    Raises:
        SetupError: It failed; its last words are passed on.
    """
    _, errors = child.communicate()
    if child.returncode:
        raise SetupError(f"{what} failed: {errors.strip()[-400:]}")


def prepare(folder: Path, say: Callable[[str], None], scale: Scale = Scale(), acts: Sequence[Act] = ACTS) -> Path:
    """Prepare everything and return the configuration file."""
    fresh(folder)
    path = configure(folder, metrics_port=free_port(), web_port=free_port())
    say(f"Simulating {REFERENCE.title} ({scale.lumisections} lumisections of {scale.events} events each) …")
    finished(simulate(folder, REFERENCE, scale, workers=2), "simulating the reference fills")
    staged = folder / "staged" / REFERENCE.name
    common = ("--config", str(path), "--conditions", str(staged / "conditions"))
    report = retrigger("reference", "fit", *common, "--output", str(folder / "reference.npz"), str(staged / "incoming"))
    say(
        f"Fitted what is normal at each pileup: {report[0]['lumisections']} certified lumisections, "
        f"{report[0]['fills']} fills."
    )
    say("Training a first champion on them and proving it; meanwhile simulating the fills to come …")
    first = subprocess.Popen(
        [sys.executable, "-m", "daemon", "bootstrap", *common, str(staged / "incoming"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for act in acts:
        finished(simulate(folder, act, scale, workers=1), f"simulating {act.name}")
    output, errors = first.communicate()
    if first.returncode:
        raise SetupError(f"the first champion failed: {errors.strip()[-600:]}")
    champion = json.loads(output.splitlines()[-1])
    retrigger("import-champion", "--config", str(path), champion["bundle"])
    say(f"The trigger runs champion {champion['digest'][:12]}.")
    for name, role in ROLES.items():
        retrigger(
            *("people", "add", name, "--role", role, "--config", str(path), "--password-stdin"),
            password=PASSWORDS[name],
        )
    return path
