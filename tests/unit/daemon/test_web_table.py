"""Every route, for every role, by every method: allowed or refused as the table here says."""

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from daemon.people import People
from daemon.policy_file import load_policy
from daemon.web import access
from daemon.web.live import MOST, Feed
from tests.unit.daemon.page_world import NOON, PASSWORD, QUICK, PageWorld
from tests.unit.daemon.web_visitors import Browser, application

ROLES = ("viewer", "ml_expert", "trigger_oncall", "firmware_expert", "coordinator", "root")
NOBODY, EVERYBODY = frozenset(), frozenset(ROLES)
APPROVE = frozenset({"ml_expert", "trigger_oncall", "firmware_expert", "root"})
REJECT = frozenset({"ml_expert", "trigger_oncall", "firmware_expert", "coordinator"})
BACK = frozenset({"trigger_oncall", "coordinator"})
OVERSEE = frozenset({"coordinator", "root"})
WAIVE = frozenset({"ml_expert", "firmware_expert", "coordinator"})
GLASS = frozenset({"trigger_oncall", "coordinator"})
CONFIRM = frozenset(role for tier in load_policy().tiers.values() for role in tier.confirm_roles)
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/sso"),
    ("GET", "/login/sso/answer"),
    ("POST", "/api/v1/session"),
}
CLOSED = {
    ("POST", "/logout"): EVERYBODY,
    ("GET", "/"): EVERYBODY,
    ("GET", "/account"): EVERYBODY,
    ("POST", "/account/passkeys/{key_id}/revoke"): EVERYBODY,
    ("GET", "/alarms/{alarm_id}"): EVERYBODY,
    ("POST", "/alarms/{alarm_id}/quiet"): REJECT,
    ("GET", "/candidates/{candidate_id}"): EVERYBODY,
    ("GET", "/live"): EVERYBODY,
    ("GET", "/live/events"): EVERYBODY,
    ("GET", "/reports"): EVERYBODY,
    ("GET", "/reports/{fill}"): EVERYBODY,
    ("GET", "/fatigue"): OVERSEE,
    ("POST", "/candidates/{candidate_id}/approve"): APPROVE,
    ("POST", "/candidates/{candidate_id}/reject"): REJECT,
    ("POST", "/candidates/{candidate_id}/revoke"): APPROVE,
    ("POST", "/candidates/{candidate_id}/rollback"): BACK,
    ("POST", "/candidates/{candidate_id}/waive"): WAIVE,
    ("POST", "/candidates/{candidate_id}/confirm"): CONFIRM,
    ("POST", "/candidates/{candidate_id}/break-glass"): GLASS,
    ("POST", "/candidates/{candidate_id}/review"): OVERSEE,
    ("POST", "/faults/{alarm_id}/close"): REJECT,
    ("GET", "/api/v1/openapi.json"): EVERYBODY,
    ("GET", "/api/v1/session"): EVERYBODY,
    ("DELETE", "/api/v1/session"): EVERYBODY,
    ("GET", "/api/v1/overview"): EVERYBODY,
    ("GET", "/api/v1/alarms"): EVERYBODY,
    ("GET", "/api/v1/record"): EVERYBODY,
    ("GET", "/api/v1/fatigue"): OVERSEE,
    ("GET", "/api/v1/candidates"): EVERYBODY,
    ("GET", "/api/v1/candidates/{candidate_id}"): EVERYBODY,
    ("POST", "/api/v1/challenges"): EVERYBODY,
    ("GET", "/api/v1/passkeys"): EVERYBODY,
    ("POST", "/api/v1/passkey-options"): EVERYBODY,
    ("POST", "/api/v1/passkeys"): EVERYBODY,
    ("DELETE", "/api/v1/passkeys/{key_id}"): EVERYBODY,
    ("GET", "/api/v1/status"): EVERYBODY,
    ("GET", "/api/v1/history"): EVERYBODY,
    ("POST", "/api/v1/training"): REJECT,
    ("POST", "/api/v1/daemon/{switch}"): REJECT,
    ("POST", "/api/v1/alarms/{alarm_id}/acknowledge"): REJECT,
    ("POST", "/api/v1/alarms/{alarm_id}/silence"): REJECT,
    ("POST", "/api/v1/candidates/{candidate_id}/approve"): APPROVE,
    ("POST", "/api/v1/candidates/{candidate_id}/reject"): REJECT,
    ("POST", "/api/v1/candidates/{candidate_id}/revoke"): APPROVE,
    ("POST", "/api/v1/candidates/{candidate_id}/rollback"): BACK,
    ("POST", "/api/v1/candidates/{candidate_id}/waive"): WAIVE,
    ("POST", "/api/v1/candidates/{candidate_id}/confirm"): CONFIRM,
    ("POST", "/api/v1/candidates/{candidate_id}/break-glass"): GLASS,
    ("POST", "/api/v1/candidates/{candidate_id}/review"): OVERSEE,
    ("POST", "/api/v1/faults/{alarm_id}/close"): REJECT,
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
LAST = {("POST", "/logout"), ("DELETE", "/api/v1/session")}  # these end the session that the others use


@pytest.fixture
def world(tmp_path):
    made = PageWorld.build(tmp_path)
    for role in ROLES:
        People(made.ledger, QUICK).add_person(f"a-{role.replace('_', '-')}", PASSWORD, [role], by="root", now=NOON)
    made.beam("STABLE BEAMS")
    made.take_data()
    made.propose()
    yield made
    made.ledger.close()


def registered(app):
    return {
        (method, one.path)
        for one in iter_route_contexts(app.routes)
        if not isinstance(one.original_route, Mount)
        for method in one.methods
    }


def path_of(route):
    return (
        route.replace("{candidate_id}", "c-0001")
        .replace("{alarm_id}", "a-401002")
        .replace("{key_id}", "k")
        .replace("{switch}", "pause")
    )


def ask(browser, method, route, token):
    """Send what a good client would, with a wrong password, and far too many hours where none is asked for."""
    headers, path = {"X-Form-Token": token, "If-Match": '"x"'}, path_of(route)
    words = {
        "reason": "x",
        "password": "wrong",
        "code": "x",
        "klass": "physics",
        "name": "x",
        "label": "x",
        "hours": 999,
    }
    if method in {"GET", "HEAD", "OPTIONS", "TRACE"}:
        return browser.http.request(method, path, headers=headers)
    if path.startswith("/api/"):
        return browser.http.request(method, path, headers=headers, json=words)
    return browser.http.request(method, path, headers=headers, data={**words, "form_token": token})


def refused_for_the_role(answer):
    return answer.status_code == 403 and "holds none of the roles" in answer.text


def test_no_route_is_missing_in_the_table_and_none_is_there_that_is_not_registered(world):
    routes = registered(application(world))

    assert routes == set(access.TABLE)
    assert routes == OPEN | set(CLOSED)


def test_only_static_files_are_mounted_beside_the_routes(world):
    routes = [one.original_route for one in iter_route_contexts(application(world).routes)]

    assert [route.path for route in routes if isinstance(route, Mount)] == ["/static"]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_passes_where_the_table_says_and_nowhere_else(world, role):
    app, head, found = application(world), world.ledger.head(), {}
    app.state.feed = Feed(app.state.office)
    assert all(app.state.feed.enter(str(number)) for number in range(MOST))  # a stream that began would not end
    visits = [Browser(app, f"a-{role.replace('_', '-')}") for _ in range(1 + len(LAST))]
    for method, route in sorted(CLOSED, key=lambda one: (one in LAST, one)):
        browser = visits.pop() if (method, route) in LAST else visits[0]
        answer = ask(browser, method, route, browser.token())
        assert answer.status_code not in {401, 405, 500}, (method, route, answer.text)
        found[method, route] = not refused_for_the_role(answer)

    assert found == {route: role in allowed for route, allowed in CLOSED.items()}
    assert world.ledger.head() == head


def test_nobody_passes_without_a_log_in_but_through_the_open_doors(world):
    browser, head = Browser(application(world)), world.ledger.head()
    for method, route in CLOSED:
        answer = ask(browser, method, route, "")
        assert answer.status_code == (401 if route.startswith("/api/") else 303), (method, route)
        assert "c-0001" not in answer.text
    for method, route in OPEN:
        assert ask(browser, method, route, "").status_code in {200, 403, 404, 422}, (method, route)

    assert world.ledger.head() == head


def test_every_other_method_is_refused_on_every_path(world):
    browser, routes = Browser(application(world), "a-coordinator"), {*OPEN, *CLOSED}
    token, head = browser.token(), world.ledger.head()
    for path in sorted({route for _, route in routes}):
        for method in METHODS:
            if (method, path) not in routes:
                assert ask(browser, method, path, token).status_code == 405, (method, path)

    assert world.ledger.head() == head


def test_a_route_that_the_table_does_not_know_is_refused_to_everybody(world):
    app = application(world)
    app.get("/api/v1/new")(lambda: "secret")
    answer = Browser(app, "a-root").get("/api/v1/new")

    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_the_description_of_the_api_leaves_no_route_out(world):
    told = Browser(application(world), "a-viewer").get("/api/v1/openapi.json").json()
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}

    assert told["openapi"].startswith("3.")
    assert described == OPEN | set(CLOSED)
