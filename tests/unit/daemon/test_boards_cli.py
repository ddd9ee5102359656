"""`retrigger dashboards` as a user calls it: a Grafana is filled, a preview is written, a mistake is said."""

import json

import pytest

from daemon.cli import main
from daemon.config import check
from dashboards.committed import boards
from tests.contract.fake_grafana import TOKEN, FakeGrafana, grafana_server


def call(capsys, *words):
    capsys.readouterr()  # what pytest's own plugins said before
    with pytest.raises(SystemExit) as leave:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return leave.value.code, said.out, said.err


def config_with(tmp_path, *lines):
    path = tmp_path / "retrigger.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_push_says_what_it_did_and_a_second_one_that_nothing_was_to_do(tmp_path, capsys):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with grafana_server(FakeGrafana()) as grafana:
        path = config_with(tmp_path, "[grafana]", f'url = "{grafana.url}"', 'token_file = "token"')
        first = call(capsys, "dashboards", "push", "--config", path, "--json")
        second = call(capsys, "dashboards", "push", "--config", path)

    done = [json.loads(line) for line in first[1].splitlines()]
    assert first[0] == second[0] == 0
    assert {one["how"] for one in done} == {"created"}
    assert len(done) == 3 + len(boards())
    assert second[1].count("as it was") == len(done)


def test_a_token_that_is_not_valid_is_said_and_leaves_with_two(tmp_path, capsys):
    (tmp_path / "token").write_text("old")
    with grafana_server(FakeGrafana()) as grafana:
        path = config_with(tmp_path, "[grafana]", f'url = "{grafana.url}"', 'token_file = "token"')
        status, _, said = call(capsys, "dashboards", "push", "--config", path)

    assert status == 2
    assert "the token is not valid" in said


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "names no url and token_file"),
        (("[grafana]", 'url = "http://127.0.0.1:9"', 'token_file = "nowhere"'), "cannot be read"),
    ],
)
def test_what_is_missing_for_a_push_is_said(tmp_path, capsys, lines, why):
    status, _, said = call(capsys, "dashboards", "push", "--config", config_with(tmp_path, *lines))

    assert status == 2
    assert why in said


def test_a_preview_of_a_prometheus_that_is_not_there_is_refused(tmp_path, capsys):
    status, _, said = call(
        capsys, "dashboards", "preview", tmp_path / "out", "--prometheus", "http://127.0.0.1:9", "--hours", "1"
    )

    assert status == 2
    assert said


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("[notify]", 'mail = { server = "localhost" }'), "notify.mail.to: expected at least one address"),
        (("[notify]", 'alertmanager = "localhost:9093"'), "notify.alertmanager: expected http://"),
        (("[grafana]", 'url = "grafana.example.org"', 'token_file = "t"'), "grafana.url: expected http://"),
        (("[grafana]", 'url = "https://g"'), "grafana.token_file: expected the path"),
    ],
)
def test_a_mistake_in_the_ways_to_people_is_named(tmp_path, lines, why):
    problems, settings = check(config_with(tmp_path, *lines))

    assert settings is None
    assert any(why in problem for problem in problems)
