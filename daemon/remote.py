"""A retrigger on another machine, spoken to over its `/api/v1`: asked, told, and understood when it refuses.

A word is sent under an `Idempotency-Key` of its own, so that it may be sent again when its answer was lost and is
recorded once.  Passwords go over https, or to this very machine, and never after a redirect.  Nothing here knows what
the words mean; who types them is the business of `daemon.cli`.

References:
    RFC 9457 (problem details); IETF draft-ietf-httpapi-idempotency-key-header-07, §2.
"""

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from daemon.errors import LoginRefusedError, RefusedError, RetriggerError, ServerError, StalePageError

PREFIX = "/api/v1"
CONNECT_S, ANSWER_S = 5.0, 20.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before each further try; what a server asks for instead counts up to `LONGEST_PAUSE_S`."""
LONGEST_PAUSE_S = 10.0
AGAIN = frozenset({429, 502, 503, 504})
MAYBE_SAID = frozenset({409, 502, 504})
"""Among those that are asked again: a proxy lost the answer, or the first try is under way; it may be recorded."""


@dataclass(frozen=True)
class Visitor:
    """Who the server says is logged in."""

    name: str
    roles: frozenset[str]
    form_token: str


def address_of(text: str, *, plain_http: bool = False) -> str:
    """Return where a server is, as ``https://host[:port]``.

    Raises:
        ServerError: It is no such address, holds a password, or would send one unencrypted to another machine.
    """
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:
        raise ServerError(
            f"--server {text!r} is no address: {error}; expected https://HOST or https://HOST:PORT"
        ) from error
    if parts.scheme not in {"http", "https"} or not re.fullmatch(r"[\w.:%-]+", host) or parts.query or parts.fragment:
        raise ServerError(f"--server {text!r} is no address of a server; expected https://HOST or https://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ServerError(
            f"--server holds a name or password for {host}, which others on this machine can read; "
            "leave it out and say --person NAME: the password is asked for"
        )
    if parts.path.rstrip("/") not in {"", PREFIX}:
        raise ServerError(
            f"--server {text!r} has the path {parts.path!r}; a retrigger answers at the root of its host: "
            f"{parts.scheme}://{parts.netloc}"
        )
    if parts.scheme == "http" and not loopback(host) and not plain_http:
        raise ServerError(
            f"--server {text!r} would send your password unencrypted to {host}; say https://{parts.netloc}, or tunnel "
            "(ssh -L) to localhost; --plain-http sends it all the same"
        )
    return f"{parts.scheme}://{parts.netloc}"


def loopback(host: str) -> bool:
    """Return whether a host is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Remote:
    """One server, and perhaps a session there."""

    def __init__(
        self,
        url: str,
        *,
        keys: Callable[[], str],
        sleep: Callable[[float], None],
        transport: httpx.BaseTransport | None = None,
        cookie: tuple[str, str] | None = None,
    ) -> None:
        """Take the address, what makes unguessable keys, what waits, and the cookie of a session that is open there."""
        self.url = url
        self._keys, self._sleep = keys, sleep
        self._visitor: Visitor | None = None
        self._secret: tuple[str, str] | None = None
        self._cookie = cookie
        local = loopback(urlsplit(url).hostname or "")
        self._http = httpx.Client(
            base_url=url,
            verify=ssl.create_default_context(),  # this machine's authorities, and SSL_CERT_FILE
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            transport=transport,
            trust_env=not local,  # a proxy has no business between this machine and itself
            headers={"Accept": "application/json, application/problem+json"},
        )

    def close(self) -> None:
        """Close the connection; a session stays open."""
        self._http.close()

    @property
    def cookie(self) -> tuple[str, str] | None:
        """Name and value of the session's cookie, to be kept for later; None without a session."""
        return self._cookie

    def visitor(self) -> Visitor | None:
        """Return who is logged in with this session, None if nobody; the first thing to ask, before any password.

        Raises:
            ServerError: It cannot be reached, or is no retrigger.
        """
        answer = self._ask("GET", "/session")
        if answer.status_code == httpx.codes.UNAUTHORIZED and _problem(answer) is not None:
            self._visitor = self._cookie = None
        else:
            self._visitor = _visitor(self._understood(answer))
        return self._visitor

    def log_in(self, name: str, password: str) -> Visitor:
        """Begin a session, and begin it anew by itself should it end meanwhile.

        Raises:
            LoginRefusedError: Name or password is wrong, or the account waits.
        """
        self._visitor = self._cookie = None
        answer = self._ask("POST", "/session", body={"name": name, "password": password})
        self._visitor = _visitor(self._understood(answer))
        self._cookie = next(((one.name, one.value or "") for one in answer.cookies.jar), None)
        self.remember(name, password)
        return self._visitor

    def remember(self, name: str, password: str) -> None:
        """Take what begins a session anew, should the one that is open end meanwhile, as by a restart of the page."""
        self._secret = (name, password)

    def log_out(self) -> None:
        """End the session there."""
        if self._visitor is not None:
            self._understood(self._ask("DELETE", "/session"))
        self._visitor = self._cookie = None

    def read(self, path: str, **asked: str | int) -> Any:
        """Return what the server says at a path below `/api/v1`.

        Raises:
            RefusedError: There is no such thing there, or this person may not see it.
            ServerError: No answer, or none that can be understood.
        """
        return self._understood(self._fresh("GET", path, asked=asked))

    def say(self, path: str, body: Mapping[str, Any], *, about: str = "") -> Any:
        """Say one word, once, and return what the server says to it.

        Args:
            path: Below `/api/v1`.
            body: What is said.
            about: The request that the person read, for `If-Match`; empty where a word takes none.

        Raises:
            StalePageError: What they read is no longer so.
            RefusedError: The rules, or the person's roles, do not allow it.
            LoginRefusedError: It was not shown that it is them.
            ServerError: No answer; the text says whether it may have been recorded.
        """
        headers = {"Idempotency-Key": self._keys(), **({"If-Match": f'"{about}"'} if about else {})}
        return self._understood(self._fresh("POST", path, body=body, headers=headers))

    def _fresh(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask; and once more, under the same key, if the session ended meanwhile."""
        answer = self._ask(method, path, **more)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._secret is not None:
            self.log_in(*self._secret)
            answer = self._ask(method, path, **more)
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        asked: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        token = self._visitor.form_token if self._visitor and method != "GET" else ""
        sent = {**(headers or {}), **({"X-Form-Token": token} if token else {})}
        if self._cookie:  # by hand, since cookie jars know no host without a dot, such as localhost
            sent["Cookie"] = "=".join(self._cookie)
        lost = False
        for pause in (*PAUSES_S, None):
            try:
                answer = self._http.request(method, PREFIX + path, json=body, params=asked, headers=sent)
            except (httpx.InvalidURL, UnicodeError) as error:
                raise ServerError(f"{self.url} is no address ({error}); expected https://HOST[:PORT]") from error
            except httpx.TransportError as error:
                never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
                if never_sent and not lost:
                    raise ServerError(_unreached(self.url, error)) from error
                lost = True
                if pause is None:
                    raise ServerError(self._unanswered(method, _plain(error))) from error
            else:
                self._http.cookies.clear()
                if not _again(answer):
                    return answer
                lost = lost or answer.status_code in MAYBE_SAID
                if pause is None and method != "GET" and lost:
                    raise ServerError(self._unanswered(method, str(answer.status_code)))
                if pause is None:
                    return answer
                self._sleep(min(_asked_pause(answer, pause), LONGEST_PAUSE_S))
                continue
            self._sleep(pause)
        raise AssertionError(path)  # the last try returns or raises

    def _unanswered(self, method: str, found: str) -> str:
        why = f"{self.url} gave no answer, {len(PAUSES_S) + 1} times ({found})"
        if method == "GET":
            return f"{why}; try again in a minute, or use the command line on its host"
        return (
            f"{why}; whether this was recorded is not known: look first (retrigger show, alarms or status) and say it "
            "again only if it is not there"
        )

    def _understood(self, answer: httpx.Response) -> Any:
        """Return the JSON of a good answer; everything else becomes an error that says what to do."""
        status = answer.status_code
        if answer.is_redirect:
            raise ServerError(
                f"{self.url} sends on to {answer.headers.get('location', 'nowhere')[:200]}: something is before it, "
                "such as a log-in portal, and nothing was sent there; name the address at which programs reach the page"
            )
        if status == httpx.codes.NO_CONTENT:
            return None
        if answer.is_success:
            try:
                return answer.json()
            except ValueError:
                raise ServerError(self._foreign(answer)) from None
        told = _problem(answer)
        if told is None:
            raise ServerError(self._foreign(answer))
        raise self._refusal(status, *told)

    def _refusal(self, status: int, title: str, detail: str) -> RetriggerError:
        own_host = "use the command line on its host"
        said: dict[tuple[int, str], RetriggerError] = {
            (401, ""): LoginRefusedError(
                f"nobody is logged in at {self.url} any more (the session ended, or the password is a new one); "
                f"say: retrigger login --server {self.url}"
            ),
            (403, ""): LoginRefusedError(detail),
            (403, "Not for your roles"): RefusedError(f"{detail}; ask the coordinator if you should have one"),
            (404, ""): RefusedError(detail),
            (404, "Not Found"): ServerError(
                f"{self.url} does not know {detail.partition(' ')[2]}: an older retrigger; update it, or {own_host}"
            ),
            (409, ""): RefusedError(detail),
            (412, ""): StalePageError(detail),
            (422, ""): ServerError(
                f"{self.url} cannot take this, and nothing was recorded: {detail}; mend that, or if it speaks of "
                "nothing that you said, update this command or the server: they are of two versions"
            ),
            (429, ""): ServerError(f"{self.url} is asked too often: {detail}; try again in a minute"),
        }
        unable = ServerError(
            f"{self.url} cannot answer now, {status} {title}: {detail}. What runs goes on running; try again in a "
            f"minute, or {own_host}"
        )
        return said.get((status, title)) or said.get((status, "")) or unable

    def _foreign(self, answer: httpx.Response) -> str:
        kind = answer.headers.get("content-type", "nothing").partition(";")[0]
        said = " ".join(answer.text[:200].split()) if kind == "text/plain" else ""
        if said and answer.status_code in {403, 411, 413, 421}:
            return f"{self.url} refuses this: {said}"
        if answer.status_code in AGAIN:
            return f"{self.url} is too busy or down: {answer.status_code} {said or kind}; try again in a minute"
        return (
            f"{self.url} is no retrigger: expected JSON of {PREFIX}, found {answer.status_code} and {kind}; check the "
            "address: it is web.public_url in the configuration there"
        )


def _visitor(told: Any) -> Visitor:
    try:
        return Visitor(str(told["person"]), frozenset(told["roles"]), str(told["form_token"]))
    except (KeyError, TypeError) as error:
        raise ServerError(
            f"this is no retrigger: expected a session with person, roles and form_token, {error!r} is not there; "
            "check the address"
        ) from error


def _problem(answer: httpx.Response) -> tuple[str, str] | None:
    """Title and detail of a problem document; None when it is none."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        told = answer.json()
        return str(told["title"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return None


def _again(answer: httpx.Response) -> bool:
    """Whether the same request may go better soon: it is under way, or the server is too busy for it."""
    waits = answer.status_code == httpx.codes.CONFLICT and "retry-after" in answer.headers
    return waits or answer.status_code in AGAIN


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else otherwise


def _unreached(url: str, error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{url} shows a certificate that is not trusted here: {cause.verify_message}; check the address, or "
                "name the file of its authority in the environment variable SSL_CERT_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return f"{url} does not speak https ({cause.reason or cause}); check address and port"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectTimeout):
        return f"{url} cannot be reached within {CONNECT_S:g} s; are you in the right network (VPN, tunnel)?"
    return f"{url} cannot be reached: {_plain(error)}; check the address, the network, and whether `retrigger web` runs"


def _plain(error: Exception) -> str:
    return (
        f"nothing within {ANSWER_S:g} s" if isinstance(error, httpx.ReadTimeout) else str(error) or type(error).__name__
    )
