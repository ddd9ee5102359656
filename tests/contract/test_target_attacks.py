"""The attack classes of TUF and of Uptane against our targets: each fails closed, with an alarm that has a name.

The names are those of the TUF specification, section 1.5.2, and of the Uptane standard, section 5.2.
"""

import copy
import json
import shutil
from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from daemon.errors import DeployError, FencedError, MixedBoardsError, UntrustedError
from daemon.targets.boards import BoardsTarget
from daemon.targets.filesystem import FilesystemTarget
from daemon.targets.oci import OciTarget
from daemon.targets.tuf_publishing import Signers
from daemon.targets.tuf_root import rotate
from tests.contract.mirror import serving
from tests.contract.registry import running_registry
from tests.contract.target_examples import Keys, a_week_ago, make_bundle, now, tuf_target, verify

FAR = timedelta(days=3650)


@pytest.fixture
def bundles(tmp_path):
    folders = {name: tmp_path / "bundles" / name for name in ("old", "new", "third")}
    return {name: (make_bundle(folder, name), folder) for name, folder in folders.items()}


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def place(tmp_path, keys, bundles):
    """A repository that runs `new` after `old`, and was read once."""
    target = tuf_target(tmp_path / "tuf", keys)
    for name in ("old", "new"):
        target.deploy(*bundles[name], token=1)
    assert target.read_back() == bundles["new"][0]
    return tmp_path / "tuf"


def alarm_of(call, *given, **named):
    """Return the name of the alarm that a call ends in."""
    with pytest.raises(UntrustedError) as told:
        call(*given, **named)
    assert f"[{told.value.alarm}]" in str(told.value)
    return told.value.alarm


def metadata_of(place):
    return place / "repository" / "metadata"


def forged(place, *, targets_keys, online, change, jump=1):
    """Put metadata on the repository that an attacker with these keys can make."""
    folder = metadata_of(place)
    stamp = Metadata.from_file(str(folder / "timestamp.json"))
    snapshot = Metadata.from_file(str(folder / f"{stamp.signed.snapshot_meta.version}.snapshot.json"))
    targets = Metadata.from_file(str(folder / f"{snapshot.signed.meta['targets.json'].version}.targets.json"))
    if change is not None:
        change(targets.signed)
        targets.signed.version += jump
        targets.signatures.clear()
        for key in targets_keys:
            targets.sign(key, append=True)
        body = targets.to_bytes()
        (folder / f"{targets.signed.version}.targets.json").write_bytes(body)
        snapshot.signed.meta["targets.json"] = MetaFile(targets.signed.version)
    snapshot.signed.version += jump
    snapshot.sign(online)
    (folder / f"{snapshot.signed.version}.snapshot.json").write_bytes(snapshot.to_bytes())
    stamp.signed.version += jump
    stamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
    stamp.sign(online)
    (folder / "timestamp.json").write_bytes(stamp.to_bytes())


def renamed(words):
    def change(targets):
        targets.targets["L1_AXO/bundle.tar"].unrecognized_fields["custom"].update(words)

    return change


# --- the ten of TUF -----------------------------------------------------------------------------------------------


def test_arbitrary_software_other_bytes_under_a_signed_name_are_refused(place, keys):
    for file in (place / "repository" / "targets").rglob("*.tar"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")

    assert alarm_of(tuf_target(place, keys).read_back) == "altered"


def test_arbitrary_software_what_strangers_signed_is_refused_and_nothing_is_signed_on_top_of_it(place, keys, bundles):
    stranger = CryptoSigner.generate_ed25519()
    forged(place, targets_keys=[stranger, stranger], online=stranger, change=renamed({"digest": bundles["old"][0]}))
    target = tuf_target(place, keys)

    assert alarm_of(target.read_back) == "unsigned"
    assert alarm_of(target.deploy, *bundles["third"], token=2) == "unsigned"
    assert alarm_of(target.renew, token=2) == "unsigned"


def test_rollback_older_metadata_than_were_seen_are_refused(place, keys, bundles, tmp_path):
    kept = shutil.copytree(metadata_of(place), tmp_path / "yesterday")
    target = tuf_target(place, keys)
    target.deploy(*bundles["third"], token=1)
    assert target.read_back() == bundles["third"][0]
    shutil.copy(kept / "timestamp.json", metadata_of(place))

    assert alarm_of(target.read_back) == "version_went_back"


def test_fast_forward_runs_nothing_new_is_told_and_ends_with_other_online_keys(place, keys, bundles):
    forged(place, targets_keys=[], online=keys.online, change=None, jump=1_000_000)
    target = tuf_target(place, keys)

    assert target.read_back() == bundles["new"][0]
    before = metadata_of(place) / "timestamp.json"
    stamp = Metadata.from_file(str(before))
    stamp.signed.version -= 999_000
    stamp.signed.snapshot_meta.version -= 999_000
    stamp.sign(keys.online)
    before.write_bytes(stamp.to_bytes())
    assert alarm_of(target.read_back) == "version_went_back"

    fresh = CryptoSigner.generate_ed25519()
    public = [fresh.public_key]
    rotate(place / "repository", keys.root[:2], {"snapshot": public, "timestamp": public}, now())
    for role in ("snapshot", "timestamp"):
        resigned(place, role, fresh)
    signers = Signers(keys.signers.targets, fresh, fresh)
    recovered = tuf_target(place, keys, signers=signers)
    recovered.deploy(*bundles["third"], token=2)
    assert recovered.read_back() == bundles["third"][0]


def resigned(place, role, key):
    """What the holders of new keys do once: the small honest versions, signed anew."""
    folder = metadata_of(place)
    names = [path for path in folder.glob("*.snapshot.json") if int(path.name.split(".")[0]) < 1000]
    newest = max(names, key=lambda path: int(path.name.split(".")[0]))
    path = newest if role == "snapshot" else folder / "timestamp.json"
    found = Metadata.from_file(str(path))
    if role == "timestamp":
        found.signed.version = 10
        found.signed.snapshot_meta = MetaFile(int(newest.name.split(".")[0]))
    found.sign(key)
    path.write_bytes(found.to_bytes())


def test_indefinite_freeze_metadata_that_nobody_renewed_are_refused(tmp_path, keys, bundles):
    target = tuf_target(tmp_path / "tuf", keys, clock=a_week_ago)
    target.deploy(*bundles["old"], token=1)

    assert alarm_of(target.read_back) == "expired"


def test_what_expired_by_neglect_is_renewed_by_whoever_leads(tmp_path, keys, bundles):
    tuf_target(tmp_path / "tuf", keys, clock=a_week_ago).deploy(*bundles["old"], token=1)
    target = tuf_target(tmp_path / "tuf", keys)
    did = [target.renew(token=2), target.renew(token=2)]

    assert did == [True, False]
    assert target.read_back() == bundles["old"][0]
    with pytest.raises(FencedError):
        target.renew(token=1)


def test_endless_data_are_cut_off_at_the_signed_length(place, keys):
    with serving(place / "repository") as mirror:
        mirror.habit = "endless"

        assert alarm_of(tuf_target(place, keys, url=mirror.url).read_back) == "endless"


def test_a_slow_answer_is_given_up(place, keys):
    with serving(place / "repository") as mirror:
        mirror.habit = "slow"

        assert alarm_of(tuf_target(place, keys, url=mirror.url, timeout_s=0.5).read_back) == "slow"


def test_extraneous_dependencies_a_file_that_no_manifest_lists_is_never_delivered(place, keys, bundles):
    _, folder = bundles["third"]
    (folder / "hls" / "also_install.so").write_bytes(b"more software")
    target = tuf_target(place, keys)

    with pytest.raises(DeployError, match="not listed in the manifest"):
        target.deploy(bundles["third"][0], folder, token=1)
    assert target.read_back() == bundles["new"][0]


def test_extraneous_dependencies_another_signed_name_is_never_looked_at(place, keys, bundles):
    def also(targets):
        targets.targets["L1_AXO/plugin.tar"] = copy.deepcopy(targets.targets["L1_AXO/bundle.tar"])

    forged(place, targets_keys=keys.signers.targets, online=keys.online, change=also)

    assert tuf_target(place, keys).read_back() == bundles["new"][0]


def test_mix_and_match_targets_of_one_time_under_a_snapshot_of_another_are_refused(place, keys, bundles):
    folder = metadata_of(place)
    target = tuf_target(place, keys)
    target.deploy(*bundles["third"], token=1)
    shutil.copy(folder / "3.targets.json", folder / "4.targets.json")

    assert alarm_of(target.read_back) == "altered"
    assert alarm_of(target.deploy, *bundles["old"], token=1) == "altered"


def test_wrong_software_a_bundle_signed_for_another_slot_is_refused(place, keys):
    forged(place, targets_keys=keys.signers.targets, online=keys.online, change=renamed({"slot": "L1_CICADA"}))

    assert alarm_of(tuf_target(place, keys).read_back) == "wrong_slot"


def test_wrong_software_another_slots_bundle_under_our_name_is_refused(place, keys, bundles):
    other = tuf_target(place, keys, slot="L1_CICADA")
    other.deploy(*bundles["third"], token=1)
    theirs = next((place / "repository" / "targets" / "L1_CICADA").glob("*.tar")).read_bytes()
    for file in (place / "repository" / "targets" / "L1_AXO").glob("*.tar"):
        file.write_bytes(theirs)

    assert alarm_of(tuf_target(place, keys).read_back) == "altered"
    assert other.read_back() == bundles["third"][0]


def test_wrong_software_a_signed_digest_that_the_bytes_do_not_give_is_refused(place, keys, bundles):
    forged(place, targets_keys=keys.signers.targets, online=keys.online, change=renamed({"digest": bundles["old"][0]}))

    assert alarm_of(tuf_target(place, keys).read_back) == "wrong_bundle"


def test_a_malicious_mirror_can_only_withhold(place, keys, bundles):
    with serving(place / "repository") as mirror:
        target = tuf_target(place, keys, url=mirror.url)
        assert target.read_back() == bundles["new"][0]
        mirror.lies = {".tar": b"other bits"}
        assert alarm_of(target.read_back) == "altered"
        mirror.lies = {"timestamp.json": b"{}"}
        assert alarm_of(target.read_back) == "malformed"
        mirror.lies = {"timestamp.json": (metadata_of(place) / "1.snapshot.json").read_bytes()}
        assert alarm_of(target.read_back) == "malformed"


@pytest.mark.parametrize("stolen", ["first", "second"])
def test_key_compromise_one_of_two_keys_and_both_online_ones_put_nothing_on_a_board(place, keys, bundles, stolen):
    key = getattr(keys, stolen)
    forged(place, targets_keys=[key, key], online=keys.online, change=renamed({"digest": bundles["old"][0]}))

    assert alarm_of(tuf_target(place, keys).read_back) == "unsigned"


def test_key_compromise_a_daemon_with_one_key_signs_nothing(place, keys, bundles):
    alone = tuf_target(place, keys, signers=Signers((keys.first,), keys.online, keys.online))

    assert alarm_of(alone.deploy, *bundles["third"], token=1) == "unsigned"
    assert alone.read_back() == bundles["new"][0]


def test_key_compromise_a_replaced_key_counts_no_more(place, keys, bundles):
    fresh = CryptoSigner.generate_ed25519()
    public = [keys.first.public_key, fresh.public_key]
    rotate(place / "repository", keys.root[:2], {"targets": public}, now())

    assert alarm_of(tuf_target(place, keys).read_back) == "unsigned"
    assert alarm_of(tuf_target(place, keys).deploy, *bundles["third"], token=1) == "unsigned"


# --- Uptane's ------------------------------------------------------------------------------------------------------


@pytest.fixture
def crate(tmp_path):
    boards = {name: FilesystemTarget(tmp_path / name, name=name, verify=verify) for name in ("left", "right")}
    return BoardsTarget("crate-7", boards), boards


def test_partial_bundle_one_of_two_boards_is_a_named_alarm_and_either_way_out_mends_it(crate, bundles):
    slot, boards = crate
    for name in ("old", "new"):
        slot.deploy(*bundles[name], token=1)
    boards["left"].deploy(*bundles["third"], token=1)

    with pytest.raises(MixedBoardsError) as told:
        slot.read_back()
    assert told.value.boards == {"left": bundles["third"][0], "right": bundles["new"][0]}
    assert "left runs" in str(told.value)
    slot.deploy(*bundles["third"], token=1)
    assert slot.read_back() == bundles["third"][0]


def test_drop_request_a_repository_that_does_not_answer_is_told_and_never_read_as_unchanged(place, keys):
    with serving(place / "repository") as mirror:
        target = tuf_target(place, keys, url=mirror.url)
        mirror.habit = "drop"

        assert alarm_of(target.read_back) == "withheld"


# --- a registry, which signs nothing: the digest alone is believed ---


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    with running_registry(folder) as address:
        yield address, folder / "store"


@pytest.fixture
def shelf(registry, bundles, request):
    address, store = registry
    repository = "slots/" + request.node.name.replace("_", "")[:40].lower()
    target = OciTarget(address, repository, insecure=True, name="crate-7", verify=verify)
    for name in ("old", "new"):
        target.deploy(*bundles[name], token=1)
    return target, store


def blobs(store, size):
    return [path for path in store.rglob("data") if path.stat().st_size > size]


def test_a_registry_whose_archive_changed_is_not_believed(shelf, bundles):
    target, store = shelf
    kept = {path: path.read_bytes() for path in blobs(store, 5000)}
    for path, body in kept.items():
        path.write_bytes(body[:-1] + b"x")
    try:
        assert alarm_of(target.read_back) == "altered"
    finally:
        for path, body in kept.items():
            path.write_bytes(body)
    assert target.read_back() == bundles["new"][0]


def test_an_artifact_that_says_one_digest_and_holds_another_is_not_believed(shelf, bundles):
    target, _ = shelf
    manifest = dict(target._manifest(bundles["old"][0]))
    target._put("current", manifest["layers"][0], {"ch.cern.retrigger.digest": bundles["new"][0]})

    assert alarm_of(target.read_back) == "wrong_bundle"


def test_an_artifact_that_is_no_bundle_is_not_believed(shelf):
    target, _ = shelf
    body = json.dumps({"image": "of a cat"}).encode()
    target._put("current", target._blob(body, "application/vnd.other.v1+json"), {})

    assert alarm_of(target.read_back) == "odd_artifact"


def test_an_archive_longer_than_a_bundle_may_be_is_not_fetched(shelf, bundles):
    target, _ = shelf
    target._most = 1000

    assert alarm_of(target.read_back) == "endless"


def test_a_registry_that_is_gone_is_a_sentence_within_its_time(bundles):
    target = OciTarget("127.0.0.1:9", "slots/none", insecure=True, verify=verify)

    with pytest.raises(DeployError, match="see that the registry runs"):
        target.read_back()
