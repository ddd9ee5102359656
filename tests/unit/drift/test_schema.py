import json
from pathlib import Path

import pytest

from drift.errors import SchemaError
from drift.schema import AXOL1TL_57, NANOAOD_BITS, schema_named

SCALES = Path(__file__).parents[3] / "../shared/data/conditions/axol1tl/scales.json"


def test_the_57_inputs_are_those_of_the_released_trigger_in_order():
    if not SCALES.exists():
        pytest.skip(f"{SCALES} is not here")

    assert list(AXOL1TL_57.names) == json.loads(SCALES.read_text())["inputs"]


def test_bounds_are_those_of_the_hardware():
    bounds = {(one.object, one.quantity): (one.low, one.high) for one in AXOL1TL_57.features}

    assert bounds == {
        ("MET", "pt"): (0, 4095),
        ("MET", "eta"): (0, 0),
        ("MET", "phi"): (0, 143),
        ("EG", "pt"): (0, 511),
        ("EG", "eta"): (-127, 127),
        ("EG", "phi"): (0, 143),
        ("MU", "pt"): (0, 511),
        ("MU", "eta"): (-225, 225),
        ("MU", "phi"): (0, 575),
        ("JET", "pt"): (0, 2047),
        ("JET", "eta"): (-127, 127),
        ("JET", "phi"): (0, 143),
    }


def test_rows_follow_rank_and_quantity():
    rows = AXOL1TL_57.rows("JET")

    assert len(rows) == 30
    assert [AXOL1TL_57.features[row].name for row in rows[:4]] == ["Jet1_pt", "Jet1_eta", "Jet1_phi", "Jet2_pt"]
    assert AXOL1TL_57.index("Jet10_phi") == 56


def test_an_unknown_feature_or_schema_is_named():
    with pytest.raises(SchemaError, match="Jet11_pt"):
        AXOL1TL_57.index("Jet11_pt")
    with pytest.raises(SchemaError, match="axol1tl_57, nanoaod_bits"):
        schema_named("axol")


def test_a_schema_has_a_digest_of_its_own_that_never_moves():
    assert schema_named("axol1tl_57") is AXOL1TL_57
    assert len(AXOL1TL_57.digest) == 64
    assert AXOL1TL_57.digest != NANOAOD_BITS.digest


def test_only_a_schema_with_features_needs_event_numbers():
    assert AXOL1TL_57.scalars == ("run", "luminosityBlock", "event")
    assert NANOAOD_BITS.scalars == ("run", "luminosityBlock")
