"""Keys of the daemon: made once, read by nobody else, and each for one use."""

import json
import stat
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from daemon.errors import RecordKeyError, SignatureRefusedError
from daemon.record import is_machine, own_key, read_keys, write_keys
from daemon.record.envelope import opened, sign

TYPE = "application/vnd.retrigger.test+json"


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "keys" / "record.pem"
    first = own_key(path, "record")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own_key(path, "record").public == first.public
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_make_a_key_at_once_get_the_same_one(tmp_path):
    found = []
    makers = [
        threading.Thread(target=lambda: found.append(own_key(tmp_path / "k.pem", "record").public)) for _ in range(6)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_private_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "record.pem"
    own_key(path, "record")
    path.chmod(0o644)

    with pytest.raises(RecordKeyError, match="others may read this private key"):
        own_key(path, "record")


@pytest.mark.parametrize("kind", ["no PEM", "another curve"])
def test_a_file_that_holds_no_ed25519_key_is_refused_by_name(tmp_path, kind):
    path = tmp_path / "record.pem"
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(b"nothing" if kind == "no PEM" else other)
    path.chmod(0o600)

    with pytest.raises(RecordKeyError, match=r"record\.pem.*Ed25519"):
        own_key(path, "record")


def test_public_keys_travel_in_a_file(tmp_path):
    keys = (own_key(tmp_path / "r.pem", "record").public, own_key(tmp_path / "b.pem", "build").public)
    write_keys(tmp_path / "keys.json", keys)

    assert read_keys(tmp_path / "keys.json") == keys
    assert "PRIVATE" not in (tmp_path / "keys.json").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree.update(format="x"), "format 'x'"),
        (lambda tree: tree.update(keys=[]), "0 keys"),
        (lambda tree: tree["keys"][0].update(use="approve"), "a key for 'approve'"),
        (lambda tree: tree["keys"][0].update(keyid="0" * 64), "key 0000000000000000 has the id"),
        (lambda tree: tree["keys"][0].update(public="ab"), "holds no public keys"),
        (lambda tree: tree["keys"][0].pop("use"), "holds no public keys"),
    ],
)
def test_a_damaged_list_of_public_keys_is_refused(tmp_path, change, words):
    path = tmp_path / "keys.json"
    write_keys(path, [own_key(tmp_path / "r.pem", "record").public])
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))

    with pytest.raises(RecordKeyError, match=words):
        read_keys(path)


def test_the_daemons_own_keys_are_told_from_a_persons(tmp_path):
    ours = [own_key(tmp_path / "r.pem", "record").public, own_key(tmp_path / "b.pem", "build").public]
    person = own_key(tmp_path / "mila.pem", "build").public

    assert is_machine(ours, ours[1].public.upper())
    assert not is_machine(ours, person.public)


def test_a_signature_holds_for_its_text_its_type_and_its_use(tmp_path):
    key, other = own_key(tmp_path / "r.pem", "record"), own_key(tmp_path / "o.pem", "record")
    tree = sign(b"as it is", TYPE, key)

    assert opened(tree, TYPE, [key.public], "record") == (b"as it is", key.public.keyid)
    for keys, kind, use, words in (
        ([other.public], TYPE, "record", "not among the record keys"),
        ([key.public], TYPE, "build", "not among the build keys"),
        ([key.public], "text/plain", "record", "expected text/plain"),
    ):
        with pytest.raises(SignatureRefusedError, match=words):
            opened(tree, kind, keys, use)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree.update(payload="YXMgaXQgd2Fz"), "does not hold"),
        (
            lambda tree: tree.update(payload=tree["payload"].rstrip("=") + "\n"),
            "not written as it was signed|no signed",
        ),
        (lambda tree: tree.update(note="x"), "not written as it was signed"),
        (lambda tree: tree["signatures"][0].update(note="x"), "not written as it was signed"),
        (lambda tree: tree.update(signatures=[]), "not written as it was signed"),
        (lambda tree: tree.update(signatures=tree["signatures"] * 2), "no signed envelope"),
        (lambda tree: tree.pop("payload"), "no signed envelope"),
        (lambda tree: tree["signatures"][0].update(sig="AAAA"), "does not hold"),
        (lambda tree: tree["signatures"][0].update(sig=7), "no signed envelope"),
    ],
)
def test_an_envelope_changed_anywhere_is_refused(tmp_path, change, words):
    key = own_key(tmp_path / "r.pem", "record")
    tree = sign(b"as it is", TYPE, key)
    change(tree)

    with pytest.raises(SignatureRefusedError, match=words):
        opened(tree, TYPE, [key.public], "record")
