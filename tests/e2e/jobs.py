"""Jobs as the daemon writes and runs them, for the tests of the whole chain."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
RECIPE = {
    "epochs": 3,
    "batch_size": 125,
    "hidden": (12, 8),
    "latent": 4,
    "kl_weight": 0.02,
    "target_rate_hz": 1.5e6,
    "synthesise": False,
}
LIMIT_SECONDS = 800


def unit_conftest():
    path = Path(__file__).parents[1] / "unit" / "retrain" / "conftest.py"
    spec = importlib.util.spec_from_file_location("retrain_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_job(folder, **changes):
    return unit_conftest().write_job(folder, events=500, **{**RECIPE, **changes})


def start(folder):
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "retrain.job", str(folder)], stderr=log, env=ENVIRONMENT)


def run(folder):
    code = start(folder).wait(timeout=LIMIT_SECONDS)
    return code, json.loads((folder / "result.json").read_bytes())


def kill_in(folder, stage):
    """Start the job and kill it with -9 as soon as it says that it works on a stage; False if it was too quick."""
    child = start(folder)
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until and child.poll() is None:
        try:
            now = json.loads((folder / "progress.json").read_bytes())
        except (FileNotFoundError, ValueError):
            now = {}
        if now.get("stage") == stage and now.get("pid") == child.pid:
            child.send_signal(signal.SIGKILL)
            child.wait()
            return True
        time.sleep(0.005)
    child.kill()
    child.wait()
    return False
