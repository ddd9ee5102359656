"""The same verbs for programs."""

import pytest

from daemon.decisions import code_of
from tests.unit.daemon.page_world import PASSWORD, PageWorld
from tests.unit.daemon.web_visitors import Browser, application


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    made.beam("STABLE BEAMS")
    made.take_data()
    yield made
    made.ledger.close()


def api_approve(browser, world, name, **headers):
    body = {"code": code_of(world.candidate(name)), "reason": "convincing", "password": PASSWORD}
    return browser.http.post(f"/api/v1/candidates/{name}/approve", json=body, headers=headers)


def test_a_program_approves_with_if_match(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    shown = mila.get(f"/api/v1/candidates/{name}")
    headers = {"If-Match": shown.headers["etag"], "X-Form-Token": mila.token()}

    answer = api_approve(mila, world, name, **headers)

    assert answer.status_code == 200
    assert answer.json()["missing_roles"] == ["trigger_oncall"]
    assert world.candidate(name).approvals[0].person == "mila"


def test_an_api_without_if_match_is_428_with_an_old_one_412_and_says_so_as_a_problem(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    token = mila.token()

    bare = api_approve(mila, world, name, **{"X-Form-Token": token})
    old = api_approve(mila, world, name, **{"X-Form-Token": token, "If-Match": f'"{"0" * 64}"'})
    foreign = api_approve(mila, world, name, **{"If-Match": "x"})

    assert [one.status_code for one in (bare, old, foreign)] == [428, 412, 403]
    for answer in (bare, old, foreign):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    assert world.candidate(name).approvals == ()


def test_a_program_rejects_and_lists(world):
    name = world.propose()
    carla = Browser(application(world), "carla")
    tag = carla.get(f"/api/v1/candidates/{name}").headers["etag"]
    answer = carla.http.post(
        f"/api/v1/candidates/{name}/reject",
        json={"klass": "rate", "reason": "too high", "password": PASSWORD, "code": code_of(world.candidate(name))},
        headers={"If-Match": tag, "X-Form-Token": carla.token()},
    )

    assert answer.json()["phase"] == "rejected"
    assert [one["phase"] for one in carla.get("/api/v1/candidates").json()] == ["rejected"]


def test_a_field_that_the_api_does_not_know_is_refused(world):
    name = world.propose()
    mila = Browser(application(world), "mila")
    body = {"code": "x", "reason": "x", "password": "x", "person": "timo"}
    answer = mila.http.post(
        f"/api/v1/candidates/{name}/approve", json=body, headers={"If-Match": "x", "X-Form-Token": mila.token()}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
