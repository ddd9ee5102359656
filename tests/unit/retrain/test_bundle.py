"""One bit changed is a bundle refused, and the refusal says where."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrain import bundle
from retrain.digest import canonical, digest_of_bytes
from retrain.errors import BundleAlteredError, BundleOutdatedError


def flip(path, position=0, bit=0):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(bytes(content))


def resign(folder):
    """Write a new manifest over a changed bundle, as someone who knows the format would."""
    manifest = json.loads((folder / bundle.MANIFEST).read_bytes())
    files = bundle.file_digests(folder)
    files.pop(bundle.MANIFEST)
    manifest["files"] = files
    manifest["weights_digest"] = files[bundle.WEIGHTS]
    manifest["threshold"] = json.loads((folder / bundle.THRESHOLD).read_bytes())["threshold"]
    raw = canonical(manifest)
    (folder / bundle.MANIFEST).write_bytes(raw)
    final = folder.with_name(digest_of_bytes(raw))
    folder.rename(final)
    return final


def test_a_bundle_is_named_by_the_digest_of_its_manifest(sealed):
    assert sealed.path.name == sealed.digest
    assert bundle.verify(sealed.path) == sealed.digest
    assert digest_of_bytes((sealed.path / "manifest.json").read_bytes()) == sealed.digest


def test_a_bundle_gives_back_its_parts(sealed, program, contract, events):
    assert sealed.threshold == 2000
    assert sealed.recipe.slot == "L1_AXO"
    assert sealed.program.run(sealed.contract, events).tolist() == program.run(sealed.contract, events).tolist()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("weights.safetensors", "the weights changed"),
        ("threshold.json", "the threshold changed"),
        ("contract.json", "offsets and shifts changed"),
        ("emulator/emulator.cpp", "the emulator source changed"),
        ("hls/firmware/network.cpp", "the emulator source changed"),
        ("emulator/emulator.so", "the emulator library changed"),
        ("emulator/model.json", "the emulator's metadata changed"),
        ("model.onnx", "the plain ONNX graph changed"),
        ("evidence/proof.json", "the evidence changed"),
        ("recipe.json", "the recipe changed"),
    ],
)
def test_one_changed_bit_is_refused_by_name(sealed, name, word):
    flip(sealed.path / name)

    with pytest.raises(BundleAlteredError, match=word) as refusal:
        bundle.verify(sealed.path)
    assert name in str(refusal.value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bit_of_any_file_matters(sealed, data):
    names = sorted([*bundle.file_digests(sealed.path)])
    path = sealed.path / data.draw(st.sampled_from(names))
    position, bit = data.draw(st.integers(0, 10**6)), data.draw(st.integers(0, 7))
    flip(path, position, bit)

    with pytest.raises(BundleAlteredError):
        bundle.verify(sealed.path)
    flip(path, position, bit)
    assert bundle.verify(sealed.path) == sealed.digest


def test_a_missing_and_an_added_file_are_named(sealed):
    (sealed.path / "extra.txt").write_text("x")
    with pytest.raises(BundleAlteredError, match=r"extra\.txt is not in the manifest"):
        bundle.verify(sealed.path)
    (sealed.path / "extra.txt").unlink()
    (sealed.path / "threshold.json").unlink()

    with pytest.raises(BundleAlteredError, match=r"the threshold .* is missing"):
        bundle.verify(sealed.path)


def test_a_link_in_a_bundle_is_refused(sealed):
    (sealed.path / "weights.safetensors").rename(sealed.path.parent / "elsewhere")
    (sealed.path / "weights.safetensors").symlink_to(sealed.path.parent / "elsewhere")

    with pytest.raises(BundleAlteredError, match="link"):
        bundle.verify(sealed.path)


def test_a_new_manifest_does_not_make_other_weights_fit_the_threshold(sealed):
    weights = sealed.path / "weights.safetensors"
    flip(weights, len(weights.read_bytes()) - 1)

    with pytest.raises(BundleAlteredError, match=r"threshold does not belong .* other weights"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_another_emulator_fit_the_proof(sealed):
    flip(sealed.path / "emulator/emulator.so")

    with pytest.raises(BundleAlteredError, match="another emulator library"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_other_sources_fit_the_proof(sealed):
    flip(sealed.path / "hls/firmware/network.cpp")

    with pytest.raises(BundleAlteredError, match="other emulator sources"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_a_proof_under_other_scales_fit(sealed):
    path = sealed.path / "evidence" / "proof.json"
    bundle.write_json(path, {**json.loads(path.read_bytes()), "contract_digest": "f" * 64})

    with pytest.raises(BundleAlteredError, match=r"proof does not belong .* other scales"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_another_onnx_graph_fit_the_proof(sealed):
    flip(sealed.path / "model.onnx")

    with pytest.raises(BundleAlteredError, match="another ONNX graph"):
        bundle.verify(resign(sealed.path))


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ("weights", "other weights"),
        ("contract", "other scales"),
        ("sources", "other emulator sources"),
        ("library", "another emulator library"),
        ("onnx", "another ONNX graph"),
    ],
)
def test_a_new_manifest_does_not_make_other_metadata_fit_the_emulator(sealed, part, word):
    value = json.loads((sealed.path / bundle.METADATA).read_bytes())
    value["digests"][part] = "f" * 64
    (sealed.path / bundle.METADATA).write_bytes(canonical(value))

    with pytest.raises(BundleAlteredError, match=f"the emulator's metadata does not belong .* they name {word}"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_metadata_with_another_threshold_fit(sealed):
    value = json.loads((sealed.path / bundle.METADATA).read_bytes())
    value["threshold"]["integer"] += 1
    (sealed.path / bundle.METADATA).write_bytes(canonical(value))

    with pytest.raises(BundleAlteredError, match="they name another threshold"):
        bundle.verify(resign(sealed.path))


def test_a_new_manifest_does_not_make_other_scales_fit_the_threshold(sealed):
    value = json.loads((sealed.path / "contract.json").read_bytes())
    value["inputs"][0]["offset"] += 1
    (sealed.path / "contract.json").write_bytes(canonical(value))

    with pytest.raises(BundleAlteredError, match="other scales"):
        bundle.verify(resign(sealed.path))


def test_a_part_of_another_form_is_refused_even_under_its_own_digest(sealed):
    value = json.loads((sealed.path / "contract.json").read_bytes())
    del value["inputs"][0]["unit"]
    (sealed.path / "contract.json").write_bytes(canonical(value))

    with pytest.raises(BundleAlteredError, match="form"):
        bundle.verify(resign(sealed.path))


def test_another_bundle_under_an_expected_digest_is_refused(sealed, tmp_path):
    copy = tmp_path / ("0" * 64)
    shutil.copytree(sealed.path, copy)

    with pytest.raises(BundleAlteredError, match="expected 0000"):
        bundle.verify(copy)
    assert bundle.verify(copy, sealed.digest) == sealed.digest


def test_sealing_the_same_twice_gives_one_bundle(tmp_path, make_staging):
    for name in ("a", "b"):
        identity = make_staging(tmp_path / name)
        bundle.seal(tmp_path / name, tmp_path / "bundles", identity)

    assert len(list((tmp_path / "bundles").iterdir())) == 1


def test_a_folder_that_is_no_bundle_is_called_so(tmp_path):
    with pytest.raises(BundleAlteredError, match="not a bundle"):
        bundle.verify(tmp_path)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("retrigger-bundle/1", "an earlier version of retrigger, in format retrigger-bundle/1; .* train again"),
        ("retrigger-bundle/9", "a later version of retrigger, in format retrigger-bundle/9; .* that made it"),
    ],
)
def test_a_bundle_of_another_version_is_not_called_altered(sealed, form, words):
    manifest = {**json.loads((sealed.path / bundle.MANIFEST).read_bytes()), "format": form}
    (sealed.path / bundle.MANIFEST).write_bytes(canonical(manifest))
    final = sealed.path.rename(sealed.path.with_name(digest_of_bytes(canonical(manifest))))

    with pytest.raises(BundleOutdatedError, match=words) as refusal:
        bundle.verify(final)
    assert "altered" not in str(refusal.value)
