"""What an operator may write into the configuration, and what is said about mistakes."""

import json
from importlib import resources
from pathlib import Path

import pytest

from daemon import config
from daemon.config_names import unknown
from daemon.errors import ConfigurationError
from daemon.recipes import recipe_of
from retrain.recipe import LumisectionRange

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
        ("[retrain]\nweight_bits = 9\n", "retrain.weight_bits is 9; expected 2 to 8 bits"),
        ("[retrain]\nhidden = []\n", "retrain.hidden"),
        ("[retrain]\nsparsity = 1.0\n", "retrain.sparsity"),
        ("[retrain]\nbatch_events = 1\n", "retrain.batch_events"),
        ('[retrain]\npolicy = "repaly"\n', "retrain.policy"),
        ('[retrain]\npolicy = "online"\n', "retrain.online_every"),
        ('[retrain]\npolicy = "ewc"\nmemory_share = 0.5\n', "takes no memory_share"),
        ('[retrain]\nlearn = ["TTbar"]\n', "is for model 'topology'"),
        ('[retrain]\nmodel = "topology"\nlearn = ["TTbar"]\n', "names no folder"),
        ('[retrain]\nmodel = "topology"\npolicy = "replay"\n', "trained with 'full'"),
        ('[retrain]\nmodel = "topology"\nonline_every = 50\n', "has no online learner"),
        ("[retrain]\nper_fill = 9000\n", "no fill would ever ask"),
        ('[retrain]\neras = [[5, "B"], [9, "A"]]\n', "sort in time"),
        ("[retrain]\ndistillation = 2.0\n", "takes no distillation"),
        ("[worth]\ncost = [1.0, 2.0]\n", "belong together"),
        ("[worth]\nhours_to_model = [5.0, 2.0]\n", "swap them"),
        ("[worth]\nmodel_share = [0.5, 1.5]\n", "between 0 and 1"),
        (
            "[worth]\ncost = [1.0, 2.0]\nuntil = [2026-10-01T00:00:00Z, 2026-12-01T00:00:00Z]\n",
            "no retrain could ever surely pay",
        ),
        ("[worth]\nuntil = [2026-10-01T00:00:00, 2026-12-01T00:00:00]\n", "timezone"),
        ("[worth]\nthreshold_share = [nan, 0.5]\n", "finite"),
        ("[worth]\nhours_to_model = [1.0, inf]\n", "finite"),
        ("[worth]\nprice_per_hz_hour = inf\n", "finite"),
        ('[executor]\nkind = "htcondor"\nqueue = "long"\n', "HTCondor has none"),
        ('[executor]\nkind = "htcondor"\ndirectives = ["getenv"]\n', "NAME = VALUE"),
        ('[executor]\nqueue = "long"\n', "for a batch system"),
        ('[executor]\ngpus = ["0"]\n', "executor.device 'cuda'"),
        ('[executor]\nkind = "slurm"\nscheduler = "tls://host:8786"\n', "executor.kind 'dask'"),
        ('[executor]\nkind = "dask"\nscheduler = "tcp://host:8786"\n', "expected tls://HOST:PORT"),
        ('[executor]\nkind = "dask"\nscheduler = "host:8786"\n', "expected tls://HOST:PORT"),
        ('[executor]\nmemory = "much"\n', "executor.memory"),
        ('[executor]\nwalltime = "2h"\n', "executor.walltime"),
    ],
)
def test_contradictions_are_told(tmp_path, text, word):
    problems, settings = config.check(write(tmp_path, text))

    assert settings is None
    assert word in problems[0]


def test_a_scheduler_that_speaks_tls_is_taken(tmp_path):
    settings = config.load(write(tmp_path, '[executor]\nkind = "dask"\nscheduler = "tls://host:8786"\n'))

    assert settings.executor.scheduler == "tls://host:8786"


def test_an_absent_file_names_the_verb_that_writes_one(tmp_path):
    with pytest.raises(ConfigurationError, match="retrigger init"):
        config.load(tmp_path / "nothing.toml")


def test_the_false_alarm_budget_is_one_in_the_stated_days(tmp_path):
    settings = config.load(write(tmp_path, "[drift]\ndays_between_false_alarms = 30.0\n"))

    assert 1.0 / settings.drift.false_alarms_per_lumisection == pytest.approx(111_195, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[retrain]\nmodel = "axol1tl_v6"\n', "did you mean 'axol1tl_v5'"),
        ('[retrain]\nmodel = "cicada"\n', "takes 252 inputs"),
        ('[retrain]\nfaults = ["gain=0.1", "gain_jets=0.1"]\n', "did you mean 'gain_jet'"),
        ('[retrain]\nfaults = ["gain_jet=9"]\n', "sizes of gain_jet"),
        ('[retrain]\nmodel = "topology"\nsignals = "signals"\nlearn = ["TTbr"]\n', "did you mean 'TTbar'"),
        ('[stream]\nschema = "unheard_of"\n', "stream.schema"),
    ],
)
def test_a_name_that_nobody_knows_is_told_with_the_nearest(tmp_path, text, word):
    (tmp_path / "signals").mkdir()
    rows = [{"name": "TTbar", "path": "a.npy", "sha256": "a" * 64, "pileup": None}]
    (tmp_path / "signals" / "signals.json").write_text(json.dumps({"signals": rows}))
    problems = unknown(config.load(write(tmp_path, text)))

    assert len(problems) == 1
    assert word in problems[0]


def test_every_name_of_the_shipped_file_is_known(tmp_path):
    assert unknown(config.load(write(tmp_path, SHIPPED))) == []


def test_the_settings_of_the_network_and_of_the_policy_reach_the_recipe(tmp_path):
    text = """
[retrain]
model = "axol1tl_v5"
hidden = [16, 8]
latent = 3
weight_bits = 4
sparsity = 0.5
bit_price = 0.01
tries = 2
learning_rate = 0.001
kl_weight = 0.1
held_out_fraction = 0.3
"""
    recipe = recipe_of(config.load(write(tmp_path, text)), (LumisectionRange(10, 1, 4),))

    assert (recipe.model, recipe.hidden, recipe.latent, recipe.weight_bits) == ("axol1tl_v5", (16, 8), 3, 4)
    assert (recipe.sparsity, recipe.bit_price, recipe.tries) == (0.5, 0.01, 2)
    assert (recipe.learning_rate, recipe.kl_weight, recipe.held_out_fraction) == (0.001, 0.1, 0.3)
    assert recipe.policy.name == "full"
