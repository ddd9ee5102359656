"""A classifier from a job description to a sealed bundle, with signals taught by one half and judged by the other."""

import hashlib
import json

import numpy as np
import pytest

from retrain import bundle, job
from retrain.signals import taught

# brevitas, qonnx and hls4ml warn about their own deprecations at import and export
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_classifier_ends_as_a_bundle_that_says_what_it_was_taught(make_job, make_events, tmp_path):
    signal = make_events(4000, seed=11)
    signal[::3] = np.minimum(signal[::3] * 3, 500)
    path = tmp_path / "signal.npy"
    np.save(path, signal)
    fields = {"model": "topology", "hidden": (8,), "signals": ("Hard",), "learn": ("Hard",), "synthesise": False}
    small = {"epochs": 2, "batch_size": 250, "proof_vectors": 100_000, "target_rate_hz": 1_000_000.0}
    description = make_job(tmp_path / "job", events=1000, **fields, **small)
    listed = {"name": "Hard", "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (tmp_path / "job" / "job.json").write_text(json.dumps({**description, "signals": [listed]}))

    result = job.run(tmp_path / "job")

    assert result["verdict"] == "candidate", result["reason"]
    made = bundle.load(tmp_path / "job" / "bundles" / result["digest"])
    learned = int(taught(signal).sum())
    assert made.contract.score_rule == "largest"
    assert made.evidence("training")["signals"] == [["Hard", [[listed["sha256"], learned]]]]
    assert made.evidence("comparison")["half_judged"] == ["Hard"]
    judged = made.evidence("comparison")["signals"][0]
    assert judged["events"] == 4000 - learned
    assert judged["candidate"]["fraction"] > 0.2
    assert set(made.evidence("proof")["mismatching_vectors"].values()) == {0}
