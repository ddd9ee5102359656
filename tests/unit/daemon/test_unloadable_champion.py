"""A champion that cannot be loaded is still the champion: its contract is kept, or nothing is asked for."""

import json
from pathlib import Path

import pytest

from daemon.config import Settings
from daemon.deploy import DeployTarget, InMemoryTarget
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.people import People
from daemon.policy_file import load_policy
from daemon.sight import Sight, TableCertifier
from daemon.targets.filesystem import FilesystemTarget
from daemon.triggers import Triggers
from drift.conditions import BeamModeFeed
from retrain import bundle as bundles
from retrain.digest import canonical, digest_of_bytes
from tests.unit.daemon.test_triggers import NOON, NOWHERE, SLOT, STREAM, asked, fill, wish
from tests.unit.retrain.conftest import stage_bundle


@pytest.fixture
def record(tmp_path):
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        fill(opened, 40)
        wish(opened, "weights")
        yield opened


@pytest.fixture
def outdated(tmp_path) -> tuple[str, Path]:
    """Digest and folder of a bundle of an earlier version."""
    folder = bundles.seal(tmp_path / "staging", tmp_path / "bundles", stage_bundle(tmp_path / "staging")).path
    manifest = {**json.loads((folder / bundles.MANIFEST).read_bytes()), "format": "retrigger-bundle/1"}
    (folder / bundles.MANIFEST).write_bytes(canonical(manifest))
    digest = digest_of_bytes(canonical(manifest))
    return digest, folder.rename(folder.with_name(digest))


def recorded(ledger: Ledger, digest: str, path: Path) -> None:
    fact = f.ChampionImported(at=NOON, actor="import", slot=SLOT, digest=digest, bundle_path=str(path))
    ledger.append(SLOT, (fact,))


def triggers(ledger: Ledger, target: DeployTarget) -> Triggers:
    beam = BeamModeFeed(NOWHERE / "beam_mode.jsonl", 900.0)
    seen = Sight(ledger, People(ledger), target, TableCertifier(NOWHERE), beam, STREAM)
    settings = Settings()
    retrain = settings.retrain.model_copy(update={"minimum_lumisections": 10})
    return Triggers(settings.model_copy(update={"retrain": retrain}), ledger, seen, load_policy(), owner="t")


def told(ledger: Ledger, target: DeployTarget) -> str:
    """Answer the wish that waits, and return why it was refused."""
    watch = triggers(ledger, target)
    watch.step(NOON)
    assert asked(ledger) == []
    return watch.refused


def board(folder: Path, release: Path) -> FilesystemTarget:
    """Return a board whose current release is this folder, though no version of today would have put it there."""
    target = FilesystemTarget(folder)
    target.current.parent.mkdir(parents=True)
    target.current.symlink_to(release)
    return target


def test_a_champion_of_an_earlier_version_is_no_reason_for_a_new_contract(record, outdated):
    recorded(record, *outdated)
    target = InMemoryTarget("board", verify=lambda folder: folder.name)  # as the earlier version would
    target.deploy(*outdated, token=1)

    refusal = told(record, target)

    assert f"what runs now, {outdated[0][:16]}, cannot be loaded" in refusal
    assert "an earlier version of retrigger" in refusal
    assert "retrigger bootstrap" in refusal


def test_a_board_that_cannot_be_read_leaves_the_champion_of_the_record(record, outdated, tmp_path):
    recorded(record, *outdated)

    assert "an earlier version of retrigger" in told(record, board(tmp_path / "board", outdated[1]))


def test_without_board_and_record_nobody_knows_whose_contract_to_keep(record, outdated, tmp_path):
    assert "the board cannot be read" in told(record, board(tmp_path / "board", outdated[1]))


def test_a_board_that_runs_what_nobody_recorded_is_no_reason_for_a_new_contract(record, outdated):
    target = InMemoryTarget("board", verify=lambda folder: folder.name)  # as the earlier version would
    target.deploy(*outdated, token=1)

    assert "not in the record" in told(record, target)
