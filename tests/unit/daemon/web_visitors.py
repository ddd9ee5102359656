"""Browsers for the tests of the page: they keep cookies, read forms and fill them in."""

import asyncio
import re

import httpx

from daemon.web import create_app
from tests.unit.daemon.page_world import PASSWORD, PUBLIC_URL, SLOT, STREAM


def application(world, public_url=PUBLIC_URL, looks=None, explanations=None, **more):
    return create_app(
        world.ledger,
        world.people,
        looks or world.sight,
        world.policy,
        stream=STREAM,
        slot=SLOT,
        public_url=public_url,
        clock=lambda: world.now,
        explanations=explanations,
        **more,
    )


class InProcess(httpx.BaseTransport):
    """Hands requests to the application without a socket; Starlette's own client wants a library we do not have."""

    def __init__(self, app):
        self.inner = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request):
        async def ask():
            answer = await self.inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


def client(app, base_url=PUBLIC_URL):
    return httpx.Client(transport=InProcess(app), base_url=base_url, follow_redirects=False)


class Browser:
    """Somebody at the page: keeps cookies, reads forms, fills them in."""

    def __init__(self, app, name="", base_url=PUBLIC_URL):
        self.http = client(app, base_url)
        self.name = name
        if name:
            answer = self.http.post("/login", data={"name": name, "password": PASSWORD})
            assert answer.status_code == 303, answer.text

    def get(self, path):
        return self.http.get(path)

    def fields(self, path, action):
        """Return the hidden fields of the form on a page that is sent to `action`."""
        text = self.get(path).text
        form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', text, re.DOTALL)
        assert form, f"no form to {action} on {path}"
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))

    def send(self, candidate, verb, fields=None, **filled):
        path = f"/candidates/{candidate}"
        hidden = self.fields(path, f"{path}/{verb}") if fields is None else fields
        body = {"reason": "the evidence is convincing", "password": PASSWORD, **hidden, **filled}
        return self.http.post(f"{path}/{verb}", data=body)

    def token(self):
        return self.http.get("/api/v1/session").json()["form_token"]
