"""A web server over a repository, as a mirror would be one: honest, or with one bad habit."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mirror:
    """What the mirror serves; `lies` replaces the body of whatever path ends so, `habit` is how it answers."""

    def __init__(self, folder):
        self.folder, self.lies, self.habit = folder, {}, "honest"
        self.url = ""

    def body(self, path):
        lie = next((body for end, body in self.lies.items() if path.endswith(end)), None)
        if lie is not None:
            return lie
        file = self.folder / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None


@contextmanager
def serving(folder):
    mirror = Mirror(folder)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            if mirror.habit == "drop":
                self.close_connection = True
                return
            body = mirror.body(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            try:
                if mirror.habit == "endless":
                    for _ in range(100_000):
                        self.wfile.write(b"x" * 65536)
                elif mirror.habit == "slow":
                    for one in body:
                        self.wfile.write(bytes([one]))
                        self.wfile.flush()
                        time.sleep(0.05)
                else:
                    self.wfile.write(body)
            except OSError:
                return

        def log_message(self, *_):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
