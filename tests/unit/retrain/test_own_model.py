"""The example in the documentation works as it is written there."""

import re
import sys
from pathlib import Path

import pytest

from retrain.models import names, resolve, socket
from retrain.preflight import derive

PAGE = Path(__file__).parents[3] / "docs" / "own-model.md"

# brevitas, qonnx and hls4ml warn about their own deprecations at import and export
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The page's file and entry point, where `pip install` would have put them."""
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    point = re.search(r'\[project.entry-points."retrigger.models"\]\n(.*)\n', page)[1].replace('"', "")
    (tmp_path / "unusual.py").write_text(code)
    told = tmp_path / "unusual-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: unusual\nVersion: 1\n")
    (told / "entry_points.txt").write_text(f"[retrigger.models]\n{point}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield code
    sys.modules.pop("unusual", None)


def test_the_example_is_short_and_found_by_its_name(installed):
    assert len(installed.splitlines()) < 60
    assert "unusual" in names()
    assert resolve("unusual").__name__ == "Unusual"
    assert socket("unusual").name == "unusual"


def test_the_example_trains_the_same_bits_and_is_proven(installed, make_recipe, events, tmp_path):
    from retrain.train import fit
    from tests.unit.retrain.chains import agreed, proven

    recipe = make_recipe(model="unusual", hidden=(6,), latent=2, epochs=2, batch_size=500)
    contract = derive(socket("unusual"), events)
    inputs = contract.network_inputs(events[:, :2000])

    trained, again = fit(recipe, contract, inputs), fit(recipe, contract, inputs, stop_after=1)

    (tmp_path / "chain").mkdir()
    assert trained.epoch_digests[0] == again.epoch_digests[0]
    assert trained.losses[1] < trained.losses[0]
    assert agreed(proven(trained.model.encoder, contract, events, tmp_path / "chain")[1])
