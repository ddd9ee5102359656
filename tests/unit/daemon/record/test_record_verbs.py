"""What the command line answers from the record: here, and where there is only an export."""

import json
import shutil
from datetime import timedelta

import pytest

from daemon.cli import main
from daemon.ledger import Ledger
from daemon.lifecycle import Phase
from daemon.lifecycle import facts as f
from daemon.record import Provenance, own_key
from retrain import bundle as bundles
from tests.unit.daemon.lifecycle_examples import NOON, SLOT, Course, sha
from tests.unit.daemon.page_world import PageWorld


@pytest.fixture
def retrigger(capsys):
    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([*map(str, words)])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home with a champion, a candidate that two people brought to the board, and its export with public keys."""
    base = tmp_path_factory.mktemp("verbs")
    for words in (["init", str(base / "home")],):
        with pytest.raises(SystemExit):
            main(words)
    config = base / "home" / "retrigger.toml"
    course = Course().to(Phase.LIVE)
    with Ledger.open(f"sqlite:///{base}/home/ledger.db") as ledger:
        ledger.append("people", [f.PersonAdded(at=NOON, actor="setup", person="mila", roles=("ml_expert",))])
        ledger.append(SLOT, [f.ChampionImported(at=NOON, actor="root", slot=SLOT, digest=sha("old"), bundle_path="/o")])
        ledger.append("c-0001", course.facts)
    for words in (["audit", "keys", base / "keys.json"], ["audit", "export", base / "record.jsonl"]):
        with pytest.raises(SystemExit):
            main([*map(str, words), "--config", str(config)])
    return base, config, course.candidate


def rows(answer):
    return [json.loads(line) for line in answer[1].splitlines()]


def test_an_export_verifies_where_there_is_no_daemon(prepared, retrigger, tmp_path):
    base, _, _ = prepared
    for name in ("record.jsonl", "keys.json"):
        shutil.copy(base / name, tmp_path)
    answer = retrigger("audit", "verify", tmp_path / "record.jsonl", "--keys", tmp_path / "keys.json")

    assert answer[0] == 0
    assert "facts and 1 signed heads hold" in answer[1]


def test_an_edited_export_leaves_with_1_and_says_where(prepared, retrigger, tmp_path):
    base, _, _ = prepared
    edited = tmp_path / "record.jsonl"
    edited.write_text((base / "record.jsonl").read_text().replace("looks right", "looks wrong", 1))
    answer = retrigger("audit", "verify", edited, "--keys", base / "keys.json", "--json")

    assert answer[0] == 1
    assert "does not give its hash; it was edited" in rows(answer)[0]["problems"][0]


def test_a_record_cut_back_shows_against_a_later_export(prepared, retrigger, tmp_path):
    base, config, _ = prepared
    home = shutil.copytree(config.parent, tmp_path / "home")
    later = home / "retrigger.toml"
    with Ledger.open(f"sqlite:///{home}/ledger.db") as ledger:
        ledger.append("daemon", [f.Paused(at=NOON + timedelta(days=1), actor="timo", reason="access")])
    retrigger("audit", "export", tmp_path / "later.jsonl", "--config", later)
    keys = ("--keys", base / "keys.json")
    cut = retrigger("audit", "verify", base / "record.jsonl", *keys, "--head", tmp_path / "later.jsonl")
    grown = retrigger("audit", "verify", tmp_path / "later.jsonl", *keys, "--head", base / "record.jsonl")

    assert (cut[0], grown[0]) == (1, 0)
    assert "it was cut off" in cut[1]


def test_an_export_without_keys_or_with_a_file_that_holds_none_is_wrong_use(prepared, retrigger):
    base, _, _ = prepared
    answers = [
        retrigger("audit", "verify", base / "record.jsonl"),
        retrigger("audit", "verify", base / "record.jsonl", "--keys", base / "record.jsonl"),
        retrigger("audit", "verify", base / "nothing.jsonl", "--keys", base / "keys.json"),
        retrigger("audit", "verify", base / "record.jsonl", "--keys", base / "keys.json", "--head", base / "keys.json"),
    ]

    assert [one[0] for one in answers] == [2] * 4
    assert "says nothing without the public keys" in answers[0][2]
    assert "holds no public keys" in answers[1][2]
    assert "does not exist" in answers[2][2]
    assert "give a head, or an export" in answers[3][2]


@pytest.mark.parametrize("offline", [False, True])
def test_history_answers_the_same_from_the_ledger_and_from_an_export(prepared, retrigger, offline):
    base, config, candidate = prepared
    where = ("--export", base / "record.jsonl", "--keys", base / "keys.json") if offline else ("--config", config)
    (ran,) = rows(retrigger("history", "--run", 400_100, "--lumisection", 17, *where, "--slot", SLOT, "--json"))
    before = rows(retrigger("history", "--run", 400_100, "--lumisection", 16, *where, "--slot", SLOT, "--json"))
    digest = rows(retrigger("history", "--digest", candidate.bundle_digest[:12], *where, "--json"))
    person = rows(retrigger("history", "--person", "mila", *where, "--json"))
    nobody = retrigger("history", "--person", "nobody", *where)

    assert (ran["digest"], ran["candidate"]) == (candidate.bundle_digest, "c-0001")
    assert [one["person"] for one in ran["approvals"]] == ["mila", "timo"]
    assert before[0]["imported"] is True
    assert [one["kind"] for one in digest][:2] == ["training_finished", "gates_evaluated"]
    assert {"proposed", "deployed"} <= {one["kind"] for one in digest}
    assert [(one["kind"], one["words"]) for one in person] == [
        ("person_added", "mila; roles ml_expert"),
        ("approved", "ml_expert; looks right"),
    ]
    assert person[1]["evidence"] == candidate.gates.evidence_root
    assert person[1]["bundle"] == candidate.bundle_digest
    assert (nobody[0], "says nothing of nobody" in nobody[1]) == (1, True)


def test_history_of_an_export_finds_its_only_slot_by_itself(prepared, retrigger):
    base, _, candidate = prepared
    asked = ("--run", 400_100, "--lumisection", 17, "--export", base / "record.jsonl", "--keys", base / "keys.json")
    answer = retrigger("history", *asked)

    assert answer[0] == 0
    assert candidate.bundle_digest in answer[1]
    assert "approved  mila as ml_expert" in answer[1]


def test_an_export_that_does_not_verify_answers_nothing(prepared, retrigger, tmp_path):
    base, _, _ = prepared
    edited = tmp_path / "record.jsonl"
    edited.write_text((base / "record.jsonl").read_text().replace("mila", "nora"))
    answer = retrigger("history", "--person", "nora", "--export", edited, "--keys", base / "keys.json")

    assert answer[0] == 2
    assert "answers nothing" in answer[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "ask for one thing"),
        (("--run", 1), "ask for one thing"),
        (("--digest", "ab" * 6, "--person", "mila"), "ask for one thing"),
        (("--digest", "abc"), "at least 8"),
        (("--digest", "not hex at all"), "no beginning of a digest"),
    ],
)
def test_a_question_that_is_none_is_wrong_use(prepared, retrigger, words, says):
    answer = retrigger("history", *words, "--config", prepared[1])

    assert answer[0] == 2
    assert says in answer[2]


def test_the_evidence_of_a_bundle_is_exported_and_verified_by_the_verbs(retrigger, tmp_path):
    assert retrigger("init", tmp_path / "home")[0] == 0
    config = tmp_path / "home" / "retrigger.toml"
    world = PageWorld.build(tmp_path / "home")
    candidate = world.candidate(world.propose())
    bundle = bundles.load(tmp_path / "home" / "bundles" / candidate.bundle_digest)
    build = own_key(tmp_path / "home" / "keys" / "build.pem", "build")
    Provenance(world.ledger, lambda: build, "urn:retrigger:p5").attest(bundle, NOON)
    world.ledger.close()
    keys, out = tmp_path / "keys.json", tmp_path / "evidence.tar"
    retrigger("audit", "keys", keys, "--config", config)
    written = retrigger("export-evidence", bundle.digest[:12], out, "--config", config)
    unknown = retrigger("export-evidence", "0" * 12, tmp_path / "x.tar", "--config", config)
    answer = retrigger("audit", "verify", out, "--keys", keys, "--json")

    assert written[0] == 0
    assert (unknown[0], "0 candidates' bundles, expected one" in unknown[2]) == (2, True)
    assert answer[0] == 0
    assert bundle.digest in rows(answer)[0]["seen"][0]


def test_status_says_how_far_the_record_has_left_the_host(prepared, retrigger, tmp_path):
    _, config, _ = prepared
    home = shutil.copytree(config.parent, tmp_path / "home")
    file = home / "retrigger.toml"
    none = retrigger("status", "--config", file)
    file.write_text(file.read_text().replace("# folders = [", "folders = ["))
    named = retrigger("status", "--config", file, "--json")

    assert "goes nowhere outside this host" in none[1]
    assert rows(named)[0]["record"]["/eos/somewhere/record"]["delivered"] == 0
