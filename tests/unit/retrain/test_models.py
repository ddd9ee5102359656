"""Models are found by name."""

import subprocess
import sys

import pytest

from retrain.contract import axol1tl_contract
from retrain.errors import RecipeError
from retrain.models import names, resolve, socket


def test_the_shipped_model_is_known():
    assert "axol1tl" in names()


def test_an_unknown_model_is_refused_with_the_known_names():
    with pytest.raises(RecipeError, match="axol1tl"):
        resolve("axolotl")
    with pytest.raises(RecipeError, match="axol1tl"):
        socket("axolotl")


def test_the_shipped_models_socket_is_the_one_its_class_names():
    assert socket("axol1tl") == axol1tl_contract()


def test_what_the_daemon_imports_pays_for_no_framework():
    code = (
        "import sys, retrain.bundle, retrain.recipe, retrain.contract, retrain.preflight, retrain.verify, "
        "retrain.working_point, retrain.models, retrain.job\n"
        "print([name for name in ('torch', 'brevitas', 'hls4ml', 'qonnx', 'onnx') if name in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
