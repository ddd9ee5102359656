"""Golden vectors stay what they are: their generator's diff is empty."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "firmware"

# onnx and qonnx warn about their own deprecations while they are imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def test_the_generator_leaves_the_golden_vectors_as_they_are():
    spec = importlib.util.spec_from_file_location("generate", HERE / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert generate.golden() == (HERE / "golden.json").read_text()
