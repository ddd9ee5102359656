"""Client and push against a stateful Grafana: whatever goes wrong, nothing is there twice and nothing is lost."""

import copy

import pytest

from dashboards.committed import boards
from dashboards.grafana import GrafanaError, HttpGrafana
from dashboards.push import PATIENCE, Note, dashboard, push, rule_group
from tests.contract.fake_grafana import TOKEN, FakeGrafana, grafana_server

PROMETHEUS = "http://127.0.0.1:9090"
NOTES = (Note("c-0001:42", 1_782_900_000.0, "L1_AXO runs abcdef from run 401234, lumisection 12 on", ("deployment",)),)


@pytest.fixture
def grafana():
    with grafana_server(FakeGrafana()) as found:
        yield found


@pytest.fixture
def client(grafana):
    made = HttpGrafana(grafana.url, TOKEN, timeout_s=1.0)
    yield made
    made.close()


def pushed(client, waited=None):
    waits = [] if waited is None else waited
    return [(one.what, one.how) for one in push(client, PROMETHEUS, NOTES, wait=waits.append)]


def contents(grafana):
    return copy.deepcopy((grafana.folders, grafana.sources, grafana.boards, grafana.groups, grafana.notes))


def test_one_push_brings_folder_source_dashboards_rules_and_annotations(grafana, client):
    done = pushed(client)

    assert {how for _, how in done} == {"created"}
    assert grafana.boards.keys() == {one["uid"] for one in boards()}
    assert grafana.sources["retrigger-prometheus"]["url"] == PROMETHEUS
    assert [one["title"] for one in grafana.groups["retrigger/retrigger"]["rules"]] == [
        one["title"] for one in rule_group()["rules"]
    ]
    assert grafana.notes[0]["tags"] == ["retrigger", "retrigger:c-0001:42", "deployment"]
    assert grafana.notes[0]["time"] == 1_782_900_000_000


def test_pushed_twice_is_once_there_and_writes_nothing(grafana, client):
    pushed(client)
    before = contents(grafana)
    grafana.asked.clear()
    done = pushed(client)

    assert {how for _, how in done} == {"as it was"}
    assert contents(grafana) == before
    assert {line.split()[0] for line in grafana.asked} == {"GET"}


def test_a_dashboard_that_somebody_edited_is_ours_again(grafana, client):
    pushed(client)
    grafana.boards["retrigger-now"] |= {"title": "mine", "tags": [], "version": 9}
    done = dict(pushed(client))

    assert done["dashboard retrigger-now"] == "changed"
    assert grafana.boards["retrigger-now"]["title"] == "retrigger · Now"
    assert grafana.boards["retrigger-now"]["version"] == 10


def test_rules_and_a_source_that_were_changed_are_ours_again(grafana, client):
    pushed(client)
    grafana.sources["retrigger-prometheus"]["url"] = "http://elsewhere"
    grafana.groups["retrigger/retrigger"]["rules"].pop()
    done = dict(pushed(client))

    assert done["data source"] == done["alert rules"] == "changed"
    assert grafana.sources["retrigger-prometheus"]["url"] == PROMETHEUS


def test_a_version_conflict_is_read_again_and_written_again(grafana, client):
    pushed(client)
    grafana.boards["retrigger-now"]["tags"] = []
    read, answer = client.get, []

    class Meanwhile:
        """Somebody saves the dashboard between our look and our write, once."""

        post, put = client.post, client.put

        @staticmethod
        def get(path):
            found = read(path)
            if path.endswith("retrigger-now") and not answer:
                answer.append(path)
                grafana.boards["retrigger-now"]["version"] += 1
            return found

    waited = []
    done = [(one.what, one.how) for one in push(Meanwhile(), PROMETHEUS, NOTES, wait=waited.append)]

    assert ("dashboard retrigger-now", "changed") in done
    assert waited == [1.0]


def test_a_name_that_somebody_else_uses_is_said_and_not_taken(grafana, client):
    pushed(client)
    del grafana.boards["retrigger-now"]
    grafana.boards["theirs"] = {"uid": "theirs", "title": "retrigger · Now", "version": 1, "tags": []}
    waited = []

    with pytest.raises(GrafanaError, match=r"dashboards/db: refused with 412") as error:
        pushed(client, waited)
    assert error.value.status == 412
    assert len(waited) == PATIENCE - 1
    assert grafana.boards["theirs"]["version"] == 1


def test_a_source_of_the_same_name_that_is_not_ours_is_left_alone(grafana, client):
    grafana.sources["other"] = {"uid": "other", "name": "retrigger Prometheus", "url": "x", "version": 1}

    with pytest.raises(GrafanaError, match="409"):
        pushed(client)
    assert grafana.sources["other"]["url"] == "x"


def test_a_wrong_token_is_refused_at_once_and_says_what_to_do(grafana):
    client, waited = HttpGrafana(grafana.url, "glsa_wrong", timeout_s=1.0), []

    with pytest.raises(GrafanaError, match=r"401: the token is not valid; make a new one") as error:
        pushed(client, waited)
    assert not error.value.retry
    assert waited == []
    assert "glsa_wrong" not in str(error.value)


def test_a_missing_right_is_refused_at_once(grafana, client):
    grafana.troubles = ["403"]

    with pytest.raises(GrafanaError, match=r"403: the service account may not do this; give it the role Editor"):
        pushed(client)


def test_a_thing_that_is_gone_when_it_is_written_is_said(grafana, client):
    pushed(client)
    grafana.sources["retrigger-prometheus"]["url"] = "http://elsewhere"
    grafana.troubles = ["", "", "404"]

    with pytest.raises(GrafanaError, match=r"PUT .*datasources/uid/retrigger-prometheus: refused with 404"):
        pushed(client)


def test_when_grafana_asks_for_quiet_it_gets_as_long_as_it_asked_for(grafana, client):
    grafana.troubles, waited = ["429", "429"], []
    done = pushed(client, waited)

    assert waited == [7.0, 7.0]
    assert {how for _, how in done} == {"created"}


@pytest.mark.parametrize("trouble", ["500", "html", "truncated", "lost", "slow"])
def test_a_trouble_that_passes_is_waited_out_with_growing_patience(grafana, client, trouble):
    grafana.slow_s, grafana.troubles, waited = 1.3, [trouble, trouble], []
    done = pushed(client, waited)

    assert waited == [1.0, 2.0]
    assert len(done) == 2 + len(boards()) + 1 + len(NOTES)


@pytest.mark.parametrize("trouble", ["truncated", "lost"])
@pytest.mark.parametrize("place", range(1, 12))
def test_an_answer_that_is_lost_makes_nothing_twice_wherever_it_happens(grafana, client, trouble, place):
    grafana.troubles = ["", *[""] * place, trouble]
    pushed(client)
    twins = [one["tags"][1] for one in grafana.notes]

    assert grafana.boards.keys() == {one["uid"] for one in boards()}
    assert len(twins) == len(set(twins)) == len(NOTES)
    assert len(grafana.sources) == len(grafana.folders) == len(grafana.groups) == 1


def test_a_trouble_that_lasts_is_said_after_so_many_tries(grafana, client):
    grafana.troubles, waited = ["500"] * 20, []

    with pytest.raises(GrafanaError, match=r"Grafana failed .*database is locked") as error:
        pushed(client, waited)
    assert error.value.retry
    assert waited == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_push_goes_on_after_grafana_was_restarted(client, grafana):
    begun = push(client, PROMETHEUS, NOTES, wait=lambda _: None)
    first = [next(begun) for _ in range(4)]
    port = int(grafana.url.rpartition(":")[2])
    other = FakeGrafana()
    other.__dict__.update({name: value for name, value in grafana.__dict__.items() if name != "url"})
    kept = contents(grafana)

    assert [one.how for one in first] == ["created"] * 4
    assert port > 0
    with grafana_server(other) as again:
        fresh = HttpGrafana(again.url, TOKEN, timeout_s=1.0)
        done = [one.how for one in push(fresh, PROMETHEUS, NOTES, wait=lambda _: None)]
        fresh.close()

    assert done[:4] == ["as it was"] * 4
    assert set(done[4:]) == {"created"}
    assert kept[0] == other.folders


def test_nobody_there_is_said_with_the_address(client):
    gone = HttpGrafana("http://127.0.0.1:9", TOKEN, timeout_s=0.5)

    with pytest.raises(GrafanaError, match=r"http://127\.0\.0\.1:9/api/folders/retrigger: no answer"):
        list(push(gone, "", wait=lambda _: None))


def test_a_url_that_is_none_is_refused():
    with pytest.raises(GrafanaError, match="is no Grafana URL"):
        HttpGrafana("grafana.example.org", TOKEN)


def test_a_grafana_below_a_path_is_asked_there():
    client = HttpGrafana("http://127.0.0.1:9/monitoring/", TOKEN, timeout_s=0.5)

    with pytest.raises(GrafanaError, match=r"http://127\.0\.0\.1:9/monitoring/api/folders"):
        client.get("/folders/x")


def test_one_dashboard_is_written_in_our_folder_with_its_digest_as_a_tag(grafana, client):
    pushed(client)
    (now,) = [one for one in boards() if one["uid"] == "retrigger-now"]

    assert dashboard(client, now).how == "as it was"
    assert any(tag.startswith("retrigger:") for tag in grafana.boards["retrigger-now"]["tags"])
