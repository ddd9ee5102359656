"""The rules as a signed, versioned file: who must sign, what a signature covers, and that there is no way back."""

import json
import logging
from importlib import resources

import pytest

from daemon.errors import PolicyError
from daemon.key_file import make_key, read_key
from daemon.ledger import Ledger
from daemon.lifecycle.key_facts import PolicyAdopted
from daemon.lifecycle.policy_signing import parse_root_keys, policy_statement
from daemon.lifecycle.signing import sign
from daemon.policy_file import add_signature, adopt, load_policy, policy_in_force, signature_file
from tests.unit.daemon.lifecycle_examples import NOON

ROOTS = ("ada", "bo", "cy", "di", "ed")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """Five root keys on a disk of their own, and their public halves."""
    folder = tmp_path_factory.mktemp("roots")
    return {name: (folder / name, make_key(folder / name)) for name in ROOTS}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def keys(tmp_path, secrets):
    entries = [f'[[roots]]\nname = "{name}"\npublic = "{public}"\n' for name, (_, public) in secrets.items()]
    path = tmp_path / "roots.toml"
    path.write_text("threshold = 3\n" + "".join(entries))
    return path


def written(tmp_path, version=1, cooldown=12):
    text = resources.files("daemon").joinpath("policy.toml").read_text("utf-8")
    path = tmp_path / "policy.toml"
    text = text.replace("version = 1", f"version = {version}")
    path.write_text(text.replace("cooldown_hours = 12 ", f"cooldown_hours = {cooldown} "))
    return path


def signed_by(path, secrets, *names):
    for name in names:
        add_signature(path, sign(read_key(secrets[name][0]), policy_statement(load_policy(path))))
    return path


def in_force(ledger, path, keys=None, *, unsigned=False):
    return policy_in_force(ledger, path, keys, unsigned=unsigned)


def test_three_of_five_root_keys_put_a_policy_into_force(tmp_path, ledger, keys, secrets):
    path = signed_by(written(tmp_path), secrets, "ada", "cy", "ed")
    found = in_force(ledger, path, keys)

    assert found.signers == ("ada", "cy", "ed")
    assert found.warning == ""


@pytest.mark.parametrize("names", [(), ("ada", "bo"), ("ada", "ada", "ada"), ("ada", "bo", "bo")])
def test_fewer_do_not_and_nobody_counts_twice(tmp_path, ledger, keys, secrets, names):
    path = signed_by(written(tmp_path), secrets, *names)

    with pytest.raises(PolicyError, match="3 of 5 must sign"):
        in_force(ledger, path, keys)


def test_a_rule_changed_after_signing_voids_the_signatures_and_a_comment_does_not(tmp_path, ledger, keys, secrets):
    path = signed_by(written(tmp_path), secrets, "ada", "cy", "ed")
    path.write_text(path.read_text() + "\n# a remark\n")
    assert in_force(ledger, path, keys).signers == ("ada", "cy", "ed")
    path.write_text(path.read_text().replace("attempts = 3", "attempts = 4"))

    with pytest.raises(PolicyError, match=r"policy\.toml: version 1 .* signed by 0 root key"):
        in_force(ledger, path, keys)


def test_a_signature_of_another_version_or_by_a_strangers_key_does_not_count(tmp_path, ledger, keys, secrets):
    path = signed_by(written(tmp_path), secrets, "ada", "bo")
    make_key(tmp_path / "stranger")
    add_signature(path, sign(read_key(tmp_path / "stranger"), policy_statement(load_policy(path))))
    older = json.loads(signature_file(path).read_text())
    path = signed_by(written(tmp_path, version=2), secrets, "cy")
    both = json.loads(signature_file(path).read_text())

    assert len(older["signatures"]) == 3
    assert len(both["signatures"]) == 4
    with pytest.raises(PolicyError, match=r"signed by 1 root key\(s\) \(cy\)"):
        in_force(ledger, path, keys)


def test_there_is_no_way_back_to_an_older_version(tmp_path, ledger, keys, secrets):
    path = signed_by(written(tmp_path, version=7), secrets, "ada", "bo", "cy")
    adopt(ledger, in_force(ledger, path, keys), NOON)
    older = signed_by(written(tmp_path, version=6), secrets, "ada", "bo", "cy")

    with pytest.raises(PolicyError, match="version 6 is older than version 7"):
        in_force(ledger, older, keys)
    with pytest.raises(PolicyError, match="version 1 is older than version 7"):
        in_force(ledger, None)
    with pytest.raises(PolicyError, match="version 6 is older"):
        in_force(ledger, older, unsigned=True)


@pytest.mark.parametrize("version", [1, 2])
def test_once_root_keys_signed_the_rules_nobody_goes_on_without_them(tmp_path, ledger, keys, secrets, version):
    path = signed_by(written(tmp_path), secrets, "ada", "bo", "cy")
    adopt(ledger, in_force(ledger, path, keys), NOON)
    mine = written(tmp_path, version=version, cooldown=13)

    with pytest.raises(PolicyError, match=r"signed by ada, bo, cy; name the root keys"):
        in_force(ledger, mine, unsigned=True)
    with pytest.raises(PolicyError, match=r"shipped policy.toml: nobody signed it"):
        in_force(ledger, None)


def test_rules_that_began_unsigned_and_were_signed_as_they_are_do_not_go_on_without_either(
    tmp_path, ledger, keys, secrets
):
    path = written(tmp_path)
    adopt(ledger, in_force(ledger, path, unsigned=True), NOON)
    signed_by(path, secrets, "ada", "bo", "cy")
    adopt(ledger, in_force(ledger, path, keys), NOON)
    mine = written(tmp_path, version=2, cooldown=13)

    assert [one.fact.signers for one in ledger.facts(subject="policy")] == [(), ("ada", "bo", "cy")]
    with pytest.raises(PolicyError, match=r"signed by ada, bo, cy; name the root keys"):
        in_force(ledger, mine, unsigned=True)


def test_other_rules_take_another_version_once_they_are_signed(tmp_path, ledger, keys, secrets):
    path = signed_by(written(tmp_path), secrets, "ada", "bo", "cy")
    adopt(ledger, in_force(ledger, path, keys), NOON)
    changed = signed_by(written(tmp_path, cooldown=13), secrets, "ada", "bo", "cy")

    with pytest.raises(PolicyError, match="take a higher version"):
        in_force(ledger, changed, keys)
    newer = signed_by(written(tmp_path, version=2, cooldown=13), secrets, "di", "bo", "ed")
    assert in_force(ledger, newer, keys).policy.version == 2


def test_what_is_in_force_is_recorded_once_each_with_who_signed_it(tmp_path, ledger, keys, secrets):
    found = in_force(ledger, signed_by(written(tmp_path), secrets, "ada", "bo", "cy"), keys)
    adopt(ledger, found, NOON)
    adopt(ledger, found, NOON)

    (stored,) = ledger.facts(subject="policy")
    assert isinstance(stored.fact, PolicyAdopted)
    assert (stored.fact.version, stored.fact.policy_id) == (1, found.policy.id)
    assert stored.fact.signers == ("ada", "bo", "cy")


def test_a_policy_of_ones_own_goes_unsigned_only_where_that_is_said_and_then_loudly(tmp_path, ledger, caplog):
    path = written(tmp_path)
    with pytest.raises(PolicyError, match="policy_unsigned = true"):
        in_force(ledger, path)
    found = in_force(ledger, path, unsigned=True)
    with caplog.at_level(logging.WARNING):
        adopt(ledger, found, NOON)

    assert found.signers == ()
    assert "THE POLICY IS NOT SIGNED" in caplog.text


def test_root_keys_without_a_policy_of_ones_own_are_a_mistake(ledger, keys):
    with pytest.raises(PolicyError, match="no `policy` of your own"):
        in_force(ledger, None, keys)


def test_the_shipped_policy_holds_where_nothing_is_configured(ledger):
    found = in_force(ledger, None)

    assert found.policy == load_policy()
    assert found.warning


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"signatures": [{"kind": "ed25519"}]}', '{"signatures": 3}'])
def test_signatures_that_cannot_be_read_are_named(tmp_path, ledger, keys, text):
    path = written(tmp_path)
    signature_file(path).write_text(text)

    with pytest.raises(PolicyError, match=r"policy\.toml\.sig holds no signatures"):
        in_force(ledger, path, keys)


def roots(threshold, *entries):
    return f"threshold = {threshold}\n" + "".join(
        f'[[roots]]\nname = "{name}"\npublic = "{public}"\n' for name, public in entries
    )


ONE, TWO = "11" * 32, "22" * 32


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (roots(0, ("a", ONE)), "threshold is 0"),
        (roots(2, ("a", ONE)), "threshold is 2 of 1"),
        (roots("true", ("a", ONE)), "threshold is True"),
        (roots(1), "of 0 root keys"),
        (roots(1, ("a", ONE), ("b", ONE)), "twice"),
        (roots(1, ("a", ONE), ("a", TWO)), "twice"),
        (roots(1, ("a", "zz")), "cannot be read"),
        (roots(1, ("a", "11")), "32 bytes"),
        ("colour = 3\n" + roots(1, ("a", ONE)), "colour"),
        ("not toml", "cannot be read"),
        ("threshold = 1\n[[roots]]\nname = 'a'\n", "public"),
    ],
)
def test_root_keys_that_are_wrong_are_refused_by_name(text, says):
    with pytest.raises(PolicyError, match=says):
        parse_root_keys(text)


def test_root_keys_are_read_with_their_threshold():
    found = parse_root_keys(roots(2, ("a", ONE), ("b", TWO)))

    assert (found.threshold, [one.name for one in found.roots]) == (2, ["a", "b"])


def test_a_file_of_root_keys_that_is_not_there_is_named(tmp_path, ledger):
    with pytest.raises(PolicyError, match=r"nowhere\.toml"):
        in_force(ledger, written(tmp_path), tmp_path / "nowhere.toml")
