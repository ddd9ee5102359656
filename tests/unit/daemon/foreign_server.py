"""Something on loopback that answers and is no retrigger: what it says, a test says."""

import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from daemon.remote import Remote

HTML = {"Content-Type": "text/html"}
PROBLEM = {"Content-Type": "application/problem+json"}
GOOD = (200, {"Content-Type": "application/json"}, b'{"person": "mila", "roles": [], "form_token": "t"}')


class Foreign(BaseHTTPRequestHandler):
    """Something else that answers: what it says, a test says."""

    answers = ()
    asked = 0

    def do_GET(self):
        status, headers, body = self.answers[min(type(self).asked, len(self.answers) - 1)]
        type(self).asked += 1
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def foreign(*answers, context=None):
    kind = type("Saying", (Foreign,), {"answers": answers})
    server = HTTPServer(("127.0.0.1", 0), kind)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", kind
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def look(url, waits=None):
    """Ask a server who is logged in, as the first thing that every verb does."""
    with closing(Remote(url, keys=str, sleep=[].append if waits is None else waits.append)) as far:
        return far.visitor()
