"""What every request and every answer passes, whatever the route: size, origin, headers.

An ASGI layer under the application, so that no route can forget it.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
BODILESS = frozenset({"DELETE", "TRACE"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)",
}
REPORT_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of a fill's report, which carries its style and figures in itself, and no script."""
YEAR_S = 31_536_000
LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "localhost", "::1": "[::1]"}
PROBE = "/healthz"  # asked by machines, under any name


class Guard:
    """Refuses what is too large or comes from elsewhere, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        address = urlsplit(public_url)
        self._public = f"{address.scheme}://{address.netloc}"
        self._secure = address.scheme == "https"
        self._hosts = {address.netloc}
        if address.hostname in LOOPBACK:
            self._hosts = {f"{name}:{address.port or 80}" for name in LOOPBACK.values()}
        self._origins = {f"{address.scheme}://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(MutableHeaders(scope=message), scope["path"])
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._foreign(scope, headers) or _oversized(scope["method"], headers)
        if refusal:
            status, text = refusal
            await PlainTextResponse(text + "\n", status_code=status)(scope, receive, send_with_headers)
            return
        await self._app(scope, _Counted(receive), send_with_headers)

    def _foreign(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """A form that another site sends with our cookie is refused before any route sees it."""
        if "\0" in scope["path"]:
            return 404, "there is no such thing: no path holds a zero byte"
        if scope["path"] != PROBE and headers.get("host", "") not in self._hosts:
            return 421, f"this page answers as {self._public} only; open that address"
        if scope["method"] in SAFE_METHODS:
            return None
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return 403, "this request was sent by another site; open the page itself"
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return 403, f"this request comes from {origin}; open {self._public} itself"
        return None

    def _dress(self, headers: MutableHeaders, path: str) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        if path.startswith("/reports/"):
            headers["content-security-policy"] = REPORT_POLICY
        if self._secure:
            headers["strict-transport-security"] = f"max-age={YEAR_S}; includeSubDomains"
        headers["cache-control"] = "max-age=3600" if path.startswith("/static/") else "no-store"


def _oversized(method: str, headers: Headers) -> tuple[int, str] | None:
    if method in SAFE_METHODS:
        return None
    length = headers.get("content-length")
    if method in BODILESS and length is None and "transfer-encoding" not in headers:
        return None
    if length is None or not length.isdigit():
        return 411, "say the length of the body (Content-Length)"
    if int(length) > LARGEST_BODY:
        return 413, f"the body has {length} bytes; at most {LARGEST_BODY} are read"
    return None


class _Counted:
    """Stops reading a body that is longer than it said."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = LARGEST_BODY

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return message if self._left >= 0 else {"type": "http.disconnect"}
