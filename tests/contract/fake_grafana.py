"""A Grafana that behaves as its documented HTTP API does, with a memory, and with every trouble a real one can make.

A real HTTP server on loopback.  `troubles` is a list of what to do with the next requests, one each, before it is well
again; `script` entries are names of the methods below.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "glsa_secret"


class FakeGrafana:
    """What it holds, what it was asked, and what it will do wrong next."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.troubles: list[str] = []
        self.slow_s = 3.0
        self.url = ""

    def answer(  # noqa: C901, PLR0911, PLR0912  # one case an endpoint, as on the API's page
        self, verb: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        parts = [unquote(one) for one in path.removeprefix("/api/").split("/")]
        match verb, parts:
            case "GET", ["folders", uid]:
                return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})
            case "POST", ["folders"]:
                if body["uid"] in self.folders:
                    return 412, {"message": "the folder has been changed by someone else"}
                self.folders[body["uid"]] = {**body, "version": 1}
                return 200, self.folders[body["uid"]]
            case "GET", ["datasources", "uid", uid]:
                return (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
            case "POST", ["datasources"]:
                if any(one["name"] == body["name"] for one in self.sources.values()):
                    return 409, {"message": "data source with the same name already exists"}
                self.sources[body["uid"]] = {**body, "id": len(self.sources) + 1, "version": 1}
                return 200, {"datasource": self.sources[body["uid"]], "message": "Datasource added"}
            case "PUT", ["datasources", "uid", uid]:
                if uid not in self.sources:
                    return 404, {"message": "Data source not found"}
                self.sources[uid] = {**self.sources[uid], **body, "version": self.sources[uid]["version"] + 1}
                return 200, {"datasource": self.sources[uid], "message": "Datasource updated"}
            case "GET", ["dashboards", "uid", uid]:
                if uid not in self.boards:
                    return 404, {"message": "Dashboard not found"}
                return 200, {"dashboard": self.boards[uid], "meta": {"folderUid": "retrigger"}}
            case "POST", ["dashboards", "db"]:
                return self._board(body)
            case "GET", ["v1", "provisioning", "folder", folder, "rule-groups", group]:
                found = self.groups.get(f"{folder}/{group}")
                return (200, found) if found else (404, {"message": "rule group not found"})
            case "PUT", ["v1", "provisioning", "folder", folder, "rule-groups", group]:
                if folder not in self.folders:
                    return 400, {"message": "folder does not exist"}
                rules = [{**one, "id": n, "updated": "2026-07-01T12:00:00Z"} for n, one in enumerate(body["rules"])]
                self.groups[f"{folder}/{group}"] = {**body, "rules": rules}
                return 202, self.groups[f"{folder}/{group}"]
            case "GET", ["annotations"]:
                wanted = set(query.get("tags", []))
                return 200, [one for one in self.notes if wanted <= set(one["tags"])]
            case "POST", ["annotations"]:
                self.notes.append({**body, "id": len(self.notes) + 1})
                return 200, {"message": "Annotation added", "id": len(self.notes)}
        return 404, {"message": "Not found"}

    def _board(self, body: dict[str, Any]) -> tuple[int, Any]:
        new = body["dashboard"]
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        old = self.boards.get(new["uid"])
        twin = [one for uid, one in self.boards.items() if uid != new["uid"] and one["title"] == new["title"]]
        if twin and not body.get("overwrite"):
            return 412, {"status": "name-exists", "message": "A dashboard with the same name in the folder exists"}
        if old and new.get("version") != old["version"] and not body.get("overwrite"):
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        version = old["version"] + 1 if old else 1
        self.boards[new["uid"]] = {**new, "id": 7, "version": version}
        return 200, {"uid": new["uid"], "status": "success", "version": version}


def _handler(grafana: FakeGrafana) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # one line a trouble
    class Asked(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:  # noqa: PLR0911  # one line a trouble
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            grafana.asked.append(f"{self.command} {parts.path}")
            trouble = grafana.troubles.pop(0) if grafana.troubles else ""
            if trouble == "slow":
                time.sleep(grafana.slow_s)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._say(401, {"message": "Invalid API key"})
            if trouble == "403":
                return self._say(403, {"message": "You'll need additional permissions to perform this action"})
            if trouble == "404":
                return self._say(404, {"message": "Not found"})
            if trouble == "429":
                return self._say(429, {"message": "rate limited"}, {"Retry-After": "7"})
            if trouble == "500":
                return self._say(500, {"message": "database is locked"})
            if trouble == "html":
                return self._write(200, b"<html><title>502 Bad Gateway</title></html>", "text/html")
            if trouble == "conflict":
                return self._say(412, {"status": "version-mismatch", "message": "changed by someone else"})
            status, tree = grafana.answer(self.command, parts.path, parse_qs(parts.query), body)
            if trouble == "truncated":  # done, and the answer is cut off
                text = json.dumps(tree).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text[: len(text) // 2])
                self.close_connection = True
                return None
            if trouble == "lost":  # done, and the server dies before it says so
                self.close_connection = True
                return None
            return self._say(status, tree)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815  # the server's names

        def _say(self, status: int, tree: Any, headers: dict[str, str] | None = None) -> None:
            self._write(status, json.dumps(tree).encode(), "application/json", headers)

        def _write(self, status: int, text: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(text)
            except OSError:  # who asked has gone
                self.close_connection = True

    return Asked


@contextmanager
def grafana_server(grafana: FakeGrafana, port: int = 0) -> Iterator[FakeGrafana]:
    """Serve it on loopback until the context ends; its memory lasts longer, as a restarted server's database does."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(grafana))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    grafana.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
