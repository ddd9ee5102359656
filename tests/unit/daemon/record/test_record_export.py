"""An exported record verifies with public keys alone, and every edit of it is found."""

from datetime import timedelta

import pytest

from benchmarks.record_edits import EDITS, NOON, campaign, specimen
from daemon.errors import LedgerError, RecordKeyError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.record import check_export, own_key, read_head, write_export
from daemon.record.signing import Cadence, HeadSigner


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return specimen(tmp_path_factory.mktemp("specimen"))


@pytest.fixture
def key(tmp_path):
    return own_key(tmp_path / "record.pem", "record")


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def say(ledger, count=1, at=NOON):
    for number in range(count):
        ledger.append("daemon", [f.Paused(at=at, actor="timo", reason=f"access {number}")])


def test_every_edit_of_an_exported_record_is_found_offline(spec, tmp_path):
    """`make edits` makes 10 000 of them."""
    tally = campaign(spec, 320, 11, tmp_path / "edited.jsonl")

    assert tally.missed == []
    assert tally.found == tally.made
    assert len(tally.made) == len(EDITS)


def test_only_a_head_kept_elsewhere_shows_a_record_cut_back_to_a_head_of_its_own(spec, tmp_path):
    tally = campaign(spec, 160, 12, tmp_path / "edited.jsonl")

    unseen = {kind for kind, made in tally.made.items() if tally.alone[kind] < made}
    assert unseen == {"cut_back_to_a_signed_head"}


def test_equal_records_give_equal_exports(ledger, key, tmp_path):
    say(ledger, 3)
    write_export(ledger, tmp_path / "one.jsonl", key)
    write_export(ledger, tmp_path / "two.jsonl", key)

    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_a_record_that_went_on_still_holds_the_heads_from_before(ledger, key, tmp_path):
    say(ledger, 3)
    write_export(ledger, tmp_path / "early.jsonl", key)
    say(ledger, 4, NOON + timedelta(hours=1))
    write_export(ledger, tmp_path / "late.jsonl", key)
    early, late = (read_head(tmp_path / name, [key.public]) for name in ("early.jsonl", "late.jsonl"))

    assert check_export(tmp_path / "late.jsonl", [key.public], [early]).problems == []
    (problem,) = check_export(tmp_path / "early.jsonl", [key.public], [late]).problems
    assert problem == "the record ends at fact 3, a head kept elsewhere covers 7; it was cut off"


def test_a_head_is_due_after_so_many_facts_or_so_many_minutes_and_never_without_a_new_fact(ledger, key):
    signer = HeadSigner(ledger, key, Cadence(facts=5, minutes=10))
    said = [signer.step(NOON)]
    say(ledger)
    said.append(signer.step(NOON))
    said.append(signer.step(NOON + timedelta(days=1)))
    say(ledger, 4)
    said.append(signer.step(NOON + timedelta(minutes=9)))
    say(ledger)
    said.append(signer.step(NOON + timedelta(minutes=9)))
    say(ledger)
    said.append(signer.step(NOON + timedelta(minutes=19)))

    assert said == [False, True, False, False, True, True]
    assert [one.fact.size for one in ledger.facts(kind="head_signed")] == [1, 7, 9]
    assert ledger.verify() == []


def test_heads_signed_by_another_process_are_taken_up(ledger, key, tmp_path):
    one, other = (HeadSigner(ledger, key, Cadence(facts=1, minutes=10)) for _ in range(2))
    say(ledger)
    one.step(NOON)
    say(ledger)
    other.step(NOON)
    say(ledger)
    one.step(NOON)
    write_export(ledger, tmp_path / "record.jsonl", key)
    found = check_export(tmp_path / "record.jsonl", [key.public])

    assert found.problems == []
    assert (found.facts, found.heads) == (6, 4)


def test_a_record_signed_by_an_older_key_and_a_newer_one_verifies_with_both(ledger, key, tmp_path):
    newer = own_key(tmp_path / "newer.pem", "record")
    for each in (key, newer):
        say(ledger)
        HeadSigner(ledger, each, Cadence(facts=1, minutes=10)).step(NOON)
    write_export(ledger, tmp_path / "record.jsonl", newer)

    assert check_export(tmp_path / "record.jsonl", [key.public, newer.public]).problems == []
    assert "not among the record keys" in check_export(tmp_path / "record.jsonl", [newer.public]).problems[0]


def test_an_empty_record_cannot_be_exported(ledger, key, tmp_path):
    with pytest.raises(LedgerError, match="no fact yet"):
        write_export(ledger, tmp_path / "record.jsonl", key)
    assert not (tmp_path / "record.jsonl").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b'{"head":{}}\n', b"\xff\n"])
def test_a_file_that_is_no_record_is_told_so(content, key, tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_bytes(content)

    assert check_export(path, [key.public]).problems != []
    with pytest.raises(RecordKeyError, match=r"record\.jsonl"):
        read_head(path, [key.public])
