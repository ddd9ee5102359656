"""What an operator may write into the configuration, and what is said about mistakes."""

from importlib import resources
from pathlib import Path

import pytest

from daemon import config
from daemon.errors import ConfigurationError

SHIPPED = resources.files("daemon").joinpath("template.toml").read_text(encoding="utf-8")


def write(folder: Path, text: str) -> Path:
    path = folder / "retrigger.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_says_the_defaults(tmp_path):
    settings = config.load(write(tmp_path, SHIPPED))
    empty = config.load(write(tmp_path, ""))

    assert settings == empty


def test_paths_are_relative_to_the_file_not_to_where_one_stands(tmp_path):
    settings = config.load(write(tmp_path, SHIPPED))

    assert settings.source.url == str(tmp_path / "incoming")
    assert settings.drift.reference == tmp_path / "reference.npz"
    assert settings.ledger.url == f"sqlite:///{tmp_path}/ledger.db"


def test_a_url_is_left_as_it_is(tmp_path):
    text = '[source]\nurl = "root://host//path"\n[ledger]\nurl = "postgresql+psycopg://u@h/d"\n'
    settings = config.load(write(tmp_path, text))

    assert settings.source.url == "root://host//path"
    assert settings.ledger.url == "postgresql+psycopg://u@h/d"


def test_every_mistake_is_told_at_once_with_the_nearest_name(tmp_path):
    text = '[source]\npol_s = 1.0\n[retrain]\nepochs = -3\nminimum_lumisections = 9000\n[wbe]\nlisten = ""\n'
    problems, settings = config.check(write(tmp_path, text))

    assert settings is None
    assert any("source.pol_s" in one and "poll_s" in one for one in problems)
    assert any("retrain.epochs" in one and "-3" in one for one in problems)
    assert any("wbe" in one and "web" in one for one in problems)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[retrain]\nminimum_lumisections = 9000\n", "minimum_lumisections"),
        ('[retrain]\ncron = "0 6 * *"\n', "five fields"),
        ('[web]\nlisten = "everywhere"\n', "host:port"),
        ("[retrain\n", "not TOML"),
        ('[executor]\nkind = "htcondor"\nqueue = "long"\n', "HTCondor has none"),
        ('[executor]\nkind = "htcondor"\ndirectives = ["getenv"]\n', "NAME = VALUE"),
        ('[executor]\nqueue = "long"\n', "for a batch system"),
        ('[executor]\ngpus = ["0"]\n', "executor.device 'cuda'"),
        ('[executor]\nkind = "slurm"\nscheduler = "tls://host:8786"\n', "executor.kind 'dask'"),
        ('[executor]\nmemory = "much"\n', "executor.memory"),
        ('[executor]\nwalltime = "2h"\n', "executor.walltime"),
    ],
)
def test_contradictions_are_told(tmp_path, text, word):
    problems, settings = config.check(write(tmp_path, text))

    assert settings is None
    assert word in problems[0]


def test_an_absent_file_names_the_verb_that_writes_one(tmp_path):
    with pytest.raises(ConfigurationError, match="retrigger init"):
        config.load(tmp_path / "nothing.toml")


def test_the_false_alarm_budget_is_one_in_the_stated_days(tmp_path):
    settings = config.load(write(tmp_path, "[drift]\ndays_between_false_alarms = 30.0\n"))

    assert 1.0 / settings.drift.false_alarms_per_lumisection == pytest.approx(111_195, rel=1e-3)
