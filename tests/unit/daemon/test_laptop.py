"""The command line on a laptop: log in, look, decide, and what is kept and left behind."""

import json

import pytest
from typer.testing import CliRunner

from daemon.cli import app as verbs
from daemon.cli import say
from daemon.cli.kept_login import file_of
from daemon.decisions import code_of
from daemon.errors import LoginRefusedError, RefusedError, ServerError
from daemon.web.serve import serve_page
from tests.unit.daemon.foreign_server import GOOD, HTML, foreign
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.test_desks import free_port, served
from tests.unit.daemon.web_visitors import application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


@pytest.fixture
def laptop(tmp_path, monkeypatch):
    """A terminal on a laptop: no ledger, a home of its own; returns what a verb printed and how it left."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "laptop"))
    monkeypatch.chdir(tmp_path)

    def say(*words, person="mila", stdin=f"{PASSWORD}\n"):
        asked = [*words, "--person", person, "--password-stdin"] if person else list(words)
        return CliRunner().invoke(verbs, asked, input=stdin)

    return say


def test_an_on_call_expert_logs_in_looks_and_decides_from_a_laptop(world, laptop, monkeypatch):
    name = world.propose()
    with served(world) as url:
        monkeypatch.setenv("RETRIGGER_SERVER", url)
        entered = laptop("login")
        shown = laptop("show", name, person="")
        code = code_of(world.candidate(name))
        said = laptop("approve", name, "--code", code, "--reason", "convincing")
        listed = laptop("candidates", "--json", person="")
        left = laptop("logout", person="")
        after = laptop("show", name, person="")

    assert "mila (ml_expert) is logged in" in entered.output
    assert f"--code {code}" in shown.output
    assert f"{name} is now pending_approval" in said.output
    assert url in said.output
    assert json.loads(listed.output)["approvals"][0]["person"] == "mila"
    assert "mila is logged out" in left.output
    assert isinstance(after.exception, LoginRefusedError)
    assert world.candidate(name).approvals[0].reason == "convincing"


def test_a_kept_log_in_is_for_its_owners_eyes(world, laptop):
    with served(world) as url:
        laptop("login", "--server", url)
        path = file_of(url)
        mode, text = path.stat().st_mode & 0o777, path.read_text()
        path.chmod(0o644)
        seen = laptop("status", "--server", url, person="")

    assert mode == 0o600
    assert PASSWORD not in text
    assert isinstance(seen.exception, ServerError)
    assert "can be read by others" in str(seen.exception)


def test_a_verb_without_a_kept_log_in_leaves_no_session_behind(world, laptop):
    port = free_port()
    app = application(world, public_url=f"http://127.0.0.1:{port}")
    page = serve_page(app, f"127.0.0.1:{port}")
    told = laptop("alarms", "--server", (url := page.url), "--json", person="vera")
    refused = laptop("pause", "--server", url, "--reason", "because", person="vera")
    page.stop()

    assert [json.loads(line)["id"] for line in told.output.splitlines()] == ["a-401002", "a-401003"]
    assert isinstance(refused.exception, RefusedError)
    assert app.state.office.sessions._kept == {}
    assert not file_of(url).exists()


def test_a_server_and_a_configuration_are_not_both_meant(world, laptop, monkeypatch):
    both = laptop("status", "--server", "https://a", "--config", "b.toml")
    monkeypatch.setenv("RETRIGGER_SERVER", "https://a.invalid")
    own = laptop("status", "--config", "b.toml")
    usual = laptop("status", "--config", "retrigger.toml")

    assert isinstance(both.exception, RefusedError)
    assert "not both" in str(both.exception)
    assert "b.toml" in str(own.exception)
    assert "retrigger.toml" in str(usual.exception)


def test_what_is_read_elsewhere_says_where_so_that_a_forgotten_variable_is_noticed(world, laptop, monkeypatch):
    name = world.propose()
    with served(world) as url:
        monkeypatch.setenv("RETRIGGER_SERVER", url)
        laptop("login")
        told = [
            laptop(*words, person="").output for words in (("show", name), ("candidates",), ("status",), ("alarms",))
        ]
        asked = laptop("train", "--reason", "a new menu").output

    assert [url in one.splitlines()[0] for one in (*told, asked)] == [True] * 5


def test_who_waits_for_a_busy_server_is_told_so(laptop):
    busy = (503, {"Retry-After": "0", **HTML}, b"")
    with foreign(busy, busy, GOOD, (200, {"Content-Type": "application/json"}, b"[]")) as (where, _):
        told = laptop("alarms", "--server", f"http://{where}", person="")

    assert told.stdout.startswith(f"No alarm was raised at http://{where}.")
    assert told.stderr.count("does not answer yet; asked again in 0 s") == 2


def test_a_password_is_asked_for_after_the_server_was_reached(laptop):
    told = laptop("status", "--server", f"http://127.0.0.1:{free_port()}", stdin="")

    assert isinstance(told.exception, ServerError)
    assert "cannot be reached" in str(told.exception)


def test_a_colleagues_reason_covers_nothing_of_what_the_second_one_reads(world, laptop, monkeypatch):
    name = world.propose()
    wipe = "good\x1b[1A\x1b[2K\u202e\x9b2K\r\n  to approve: retrigger approve c-0001 --code forged"
    with served(world) as url:
        monkeypatch.setenv("RETRIGGER_SERVER", url)
        laptop("approve", name, "--code", code_of(world.candidate(name)), "--reason", wipe)
        told = [laptop(*words, person="timo").output for words in (("show", name), ("candidates",), ("status",))]
        told.append(laptop("history", "--person", "mila", "--as", "timo", "--password-stdin", person="").output)

    assert world.candidate(name).approvals[0].reason.startswith("good\x1b")
    assert not {"\x1b", "\x9b", "\r", "\u202e"} & set("".join(told))
    assert "yes      mila as ml_expert: good\\x1b[1A\\x1b[2K\\u202e\\x9b2K\\n  to approve" in told[0]
    assert "good\\x1b" in told[-1]
    assert "\n  to approve: retrigger approve c-0001 --code forged" not in "".join(told)


def test_brackets_in_a_colleagues_reason_break_no_table(capsys):
    say.table("candidates", ["id", "why"], [("c-0001", "manual: [/red] for [bold]me[/bold]"), ("c-0002", None)])

    assert "manual: [/red] for [bold]me[/bold]" in capsys.readouterr().out
