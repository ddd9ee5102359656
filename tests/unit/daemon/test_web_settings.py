"""What an operator may say about single sign-on and proxies, and the drill verbs on a real record."""

import json
import subprocess
import sys

import pytest

from daemon import config
from daemon.decisions import code_of
from daemon.errors import ConfigurationError
from daemon.web.page import _proxy, _sign_on
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application

SIGN_ON = '[web.sign_on]\nissuer = "https://auth.example"\nclient_id = "retrigger"\n'


def settings(folder, text):
    (folder / "retrigger.toml").write_text(text)
    return config.load(folder / "retrigger.toml")


def test_a_sign_on_is_read_with_its_secret_beside_the_file(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    text = SIGN_ON + 'client_secret_file = "secret"\n[web.sign_on.roles]\naxo = "trigger_oncall"\n'
    rules = _sign_on(settings(tmp_path, text).web)

    assert (rules.issuer, rules.client_secret, rules.roles) == (
        "https://auth.example",
        "s3cret",
        {"axo": "trigger_oncall"},
    )
    assert "s3cret" not in repr(rules)


def test_without_a_word_about_them_there_is_no_sign_on_and_no_proxy(tmp_path):
    web = settings(tmp_path, "").web

    assert _sign_on(web) is None
    assert _proxy(web) is None
    assert _proxy(settings(tmp_path, '[web]\nproxy_header = "X-User"\n').web).sources == {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SIGN_ON.replace("https", "http"), "give its https address"),
        (SIGN_ON + '[web.sign_on.roles]\naxo = "king"\n', "unknown role king"),
        (SIGN_ON + 'client_secret_file = "nowhere"\n', "cannot be read"),
    ],
)
def test_a_sign_on_that_cannot_be_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        _sign_on(settings(tmp_path, text).web)


def retrigger(world, *words, person=""):
    place = ["--config", str(world.folder / "retrigger.toml")]
    more = ["--person", person, "--password-stdin"] if person else []
    return subprocess.run(
        [sys.executable, "-m", "daemon", *words, *place, *more],
        capture_output=True,
        text=True,
        check=False,
        input=PASSWORD + "\n" if person else None,
    )


def test_the_verbs_of_drills_say_figures_and_take_a_coordinator(tmp_path):
    world = PageWorld.build(tmp_path)
    world.beam("NO BEAM")
    world.take_data()
    name = world.propose()
    Browser(application(world), "mila").send(name, "approve", code=code_of(world.candidate(name)))
    (tmp_path / "retrigger.toml").write_text('[deploy]\nfolder = "board"\n[conditions]\nfolder = "."\n')

    figures = retrigger(world, "drill", "figures", "--json")
    refused = retrigger(world, "drill", "propose", person="mila")
    waiting = retrigger(world, "drill", "propose", person="carla")
    world.ledger.close()

    mila = next(one for one in json.loads(figures.stdout)["people"] if one["person"] == "mila")
    assert (mila["answers"], mila["yes_ratio"], mila["caught"]) == (1, 1.0, 0)
    assert json.loads(figures.stdout)["drill_due"] == ["mila", "timo"]
    assert figures.returncode == 1  # the page was open for no time at all: a limit is passed
    assert (refused.returncode, waiting.returncode) == (2, 2)
    assert "it takes coordinator or root" in refused.stderr
    assert f"{name} waits for an answer" in waiting.stderr
