"""How the configuration names where bundles go, and what is said about mistakes."""

from datetime import UTC, datetime

import pytest

from daemon import config
from daemon.errors import ConfigurationError, DeployError
from daemon.targets.boards import BoardsTarget
from daemon.targets.catalogue import rehearsal_of, target_of
from daemon.targets.command import CommandTarget
from daemon.targets.filesystem import FilesystemTarget
from daemon.targets.oci import OciTarget
from daemon.targets.registers import WitnessedTarget
from tests.e2e.homes import retrigger

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FOREIGN = """
def make(options, place, name):
    from daemon.deploy import InMemoryTarget
    return InMemoryTarget(f"{options['crate']} of {place.slot}")
def broken(options, place, name):
    raise KeyError("crate")
"""


def noon():
    return NOON


def written(folder, text):
    path = folder / "retrigger.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A package of somebody else that brings two kinds of target."""
    site = tmp_path / "site"
    (site / "theirs-1.0.dist-info").mkdir(parents=True)
    (site / "theirs.py").write_text(FOREIGN)
    (site / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (site / "theirs-1.0.dist-info" / "entry_points.txt").write_text(
        "[retrigger.targets]\ntheirs = theirs:make\nbroken = theirs:broken\n"
    )
    monkeypatch.syspath_prepend(str(site))


def test_without_a_word_bundles_go_to_the_folder(tmp_path):
    target = target_of(config.load(written(tmp_path, "")), noon)

    assert isinstance(target, FilesystemTarget)
    assert target.current == tmp_path / "board" / "current"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('target = "oci"\noptions = {registry = "localhost:5000", repository = "trigger/axo"}', OciTarget),
        ('target = "command"\noptions = {argv = ["/bin/true"]}', CommandTarget),
    ],
)
def test_a_kind_is_chosen_by_name(tmp_path, text, kind):
    target = target_of(config.load(written(tmp_path, f"[deploy]\n{text}\n")), noon)

    assert isinstance(target, kind)


def test_boards_move_as_one_and_registers_are_asked_beside(tmp_path):
    text = """
    [[deploy.boards]]
    name = "left"
    options = {folder = "boards/left"}
    [[deploy.boards]]
    name = "right"
    options = {folder = "boards/right"}
    """
    alone = target_of(config.load(written(tmp_path, text)), noon)
    shown = """
    [[deploy.registers]]
    name = "left"
    uri = "ipbusudp-2.0://127.0.0.1:50001"
    address_table = "board.xml"
    """
    asked = target_of(config.load(written(tmp_path, text + shown)), noon)

    assert isinstance(alone, BoardsTarget)
    assert isinstance(asked, WitnessedTarget)
    assert alone.name == asked.name == "boards:left,right"


def test_a_crate_for_rehearsals_is_a_target_of_its_own_or_none(tmp_path):
    text = '[deploy.rehearsal]\noptions = {folder = "test-crate"}\n'
    crate = rehearsal_of(config.load(written(tmp_path, text)), noon)

    assert isinstance(crate, FilesystemTarget)
    assert crate.name == f"filesystem:{tmp_path / 'test-crate'}"
    assert rehearsal_of(config.load(written(tmp_path, "")), noon) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[deploy]\ntarget = "pigeon"\n', "unknown kind of target 'pigeon'; known here: command, filesystem, oci, tuf"),
        ('[deploy]\ntarget = "oci"\noptions = {registry = "localhost:5000"}\n', "deploy.options.repository"),
        (
            '[deploy]\ntarget = "oci"\noptions = {registry = "http://x/y", repository = "UP"}\n',
            "deploy.options.registry",
        ),
        ('[deploy]\ntarget = "command"\noptions = {argv = []}\n', "deploy.options.argv"),
        ('[deploy]\ntarget = "command"\noptions = {argv = ["x"], shell = true}\n', "options.shell: unknown key"),
        (
            '[deploy]\ntarget = "tuf"\noptions = {folder = "r", root = "r.json", keys = ["a"], online_key = "o"}\n',
            "deploy.options.keys",
        ),
        ('[deploy]\noptions = {folder = "x"}\n', "deploy.folder"),
        ('[deploy.rehearsal]\ntarget = "pigeon"\n', "deploy.rehearsal: unknown kind"),
        ('[[deploy.boards]]\nname = "left"\n', "deploy.boards.left.options.folder"),
        ('[[deploy.registers]]\nname = "l"\nuri = "http://x"\naddress_table = "b.xml"\n', "deploy.registers.0.uri"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, told):
    problems, settings = config.check(written(tmp_path, text))

    assert settings is None
    assert any(told in one for one in problems), problems


def test_a_board_named_twice_is_a_mistake(tmp_path):
    board = '[[deploy.boards]]\nname = "left"\noptions = {folder = "x"}\n'
    problems, _ = config.check(written(tmp_path, board * 2))

    assert problems == ["deploy.boards: 'left' is named twice"]


def test_another_package_may_bring_a_kind(tmp_path, foreign):
    text = '[deploy]\ntarget = "theirs"\noptions = {crate = "crate 7"}\n'

    assert target_of(config.load(written(tmp_path, text)), noon).name == "crate 7 of L1_AXO"


def test_a_kind_that_cannot_be_made_names_its_package(tmp_path, foreign):
    settings = config.load(written(tmp_path, '[deploy]\ntarget = "broken"\n'))

    with pytest.raises(ConfigurationError, match="theirs:broken cannot be made: KeyError"):
        target_of(settings, noon)


def test_keys_and_root_are_made_by_verbs_and_the_target_works_with_them(tmp_path):
    for name in ("first", "second", "online", "root-a", "root-b"):
        retrigger("tuf", "key", tmp_path / f"{name}.pem")
    text = """
    [deploy]
    target = "tuf"
    options = {folder = "repository", root = "root.json", keys = ["first.pem", "second.pem"], online_key = "online.pem"}
    """
    home = written(tmp_path, text)
    roots = ("--root-key", tmp_path / "root-a.pem", "--root-key", tmp_path / "root-b.pem")
    (laid,) = retrigger("tuf", "lay", *roots, "--config", home)
    target = target_of(config.load(home), lambda: datetime.now(tz=UTC))

    assert laid["root"] == str(tmp_path / "root.json")
    assert target.read_back() == ""
    assert retrigger("tuf", "lay", *roots, "--config", home, status=2) == []
    fresh = ("--public-key", tmp_path / "online.pub.pem", "--public-key", tmp_path / "second.pub.pem")
    (rotated,) = retrigger("tuf", "rotate", "targets", *fresh, *roots, "--config", home)
    assert rotated["root_version"] == 2
    with pytest.raises(DeployError, match=r"\[unsigned\]"):
        target.read_back()
