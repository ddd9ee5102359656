"""The way back is walked on a crate before it is needed, and whatever happens the champion runs again."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from daemon.deploy import InMemoryTarget
from daemon.errors import DeployError, VerdictError
from daemon.ledger import Ledger
from daemon.lifecycle import facts as f
from daemon.lifecycle.board_facts import RollbackRehearsed
from daemon.people import People
from daemon.rehearsing import walk
from daemon.targets.filesystem import FilesystemTarget
from tests.contract.target_examples import make_bundle, verify
from tests.e2e.homes import retrigger
from tests.unit.daemon.page_world import QUICK, SLOT, example_bundle

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Stuck(InMemoryTarget):
    """A target that says it went back and did not."""

    def roll_back(self, digest, *, token):
        return self.read_back()


@pytest.fixture
def bundles(tmp_path):
    return {name: (make_bundle(tmp_path / name, name), tmp_path / name) for name in ("champion", "other")}


def ticking():
    ticks = count()
    return lambda: float(next(ticks))


def test_the_champion_comes_back_and_the_time_is_told(bundles):
    target = InMemoryTarget("crate", verify)
    went = walk(target, bundles["champion"], bundles["other"], token=1, timer=ticking())

    assert (went.from_digest, went.to_digest) == (bundles["other"][0], bundles["champion"][0])
    assert went.seconds == 1.0
    assert target.read_back() == bundles["champion"][0]
    assert target.writes == [bundles[name][0] for name in ("champion", "other", "champion")]


def test_a_way_back_that_leads_nowhere_is_a_bad_verdict_and_the_champion_is_put_on_again(bundles):
    target = Stuck("crate", verify)

    with pytest.raises(VerdictError, match="led to"):
        walk(target, bundles["champion"], bundles["other"], token=1, timer=ticking())
    assert target.read_back() == bundles["champion"][0]


def test_the_champion_cannot_stand_for_its_own_successor(bundles):
    with pytest.raises(DeployError, match="name another bundle"):
        walk(InMemoryTarget("crate", verify), bundles["champion"], bundles["champion"], token=1, timer=ticking())


@pytest.fixture
def home(tmp_path):
    """A home whose champion and another bundle are on record."""
    retrigger("init", tmp_path / "home")
    path = tmp_path / "home" / "retrigger.toml"
    champion, other = (example_bundle(tmp_path / "bundles", seed=seed, champion=None) for seed in (1, 2))
    with Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}") as ledger:
        People(ledger, QUICK).add_person("carla", "correct horse battery", ["coordinator"], by="root", now=NOON)
        for number, one in enumerate((other, champion)):
            at = NOON + timedelta(days=number)
            fact = f.ChampionImported(at=at, actor="root", slot=SLOT, digest=one.digest, bundle_path=str(one.path))
            ledger.append(SLOT, [fact])
    board = FilesystemTarget(tmp_path / "home" / "board")
    for one in (other, champion):
        board.deploy(one.digest, one.path, token=1)
    return path, champion, other


def test_a_drill_on_a_crate_is_put_on_record_and_leaves_the_board_alone(home, tmp_path):
    path, champion, other = home
    crate = '[deploy.rehearsal]\noptions = {folder = "crate"}\n[web]'
    path.write_text(path.read_text().replace("[web]", crate, 1))
    asked = ("drill", "rollback", "--config", path, "--person", "carla", "--password-stdin")
    (told,) = retrigger(*asked, stdin="correct horse battery\n")

    assert (told["from_digest"], told["to_digest"]) == (other.digest, champion.digest)
    with Ledger.open(f"sqlite:///{path.parent / 'ledger.db'}") as ledger:
        (fact,) = (one.fact for one in ledger.facts(subject=SLOT, kind=RollbackRehearsed.kind))
    assert (fact.actor, fact.target) == ("carla", f"filesystem:{path.parent / 'crate'}")
    assert fact.seconds > 0
    assert FilesystemTarget(path.parent / "crate").read_back() == champion.digest
    assert (path.parent / "board" / "current").resolve().name == champion.digest


def test_without_a_crate_the_board_is_used_only_between_fills(home):
    path, *_ = home
    asked = ("drill", "rollback", "--config", path, "--person", "carla", "--password-stdin")

    assert retrigger(*asked, stdin="correct horse battery\n", status=2) == []
