"""A Grafana, spoken to through its HTTP API: what can go wrong is one error with what to do.

`Grafana` is the port that `dashboards.push` needs; the adapter stands on grafana-api, which sends and signs.  Nothing
here decides what is pushed, or when to try again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaClientError, GrafanaException, GrafanaServerError

Tree = Mapping[str, Any]


class GrafanaError(Exception):
    """Grafana did not do what was asked.

    Attributes:
        retry: Whether it may do so later, unchanged.
        after_s: How long it asked to be left alone; None when it did not say.
        status: HTTP status; 0 when there was no answer.
    """

    def __init__(self, text: str, *, retry: bool, after_s: float | None = None, status: int = 0) -> None:
        super().__init__(text)
        self.retry = retry
        self.after_s = after_s
        self.status = status


class Grafana(Protocol):
    """What is asked of a Grafana; each call either happened or raises `GrafanaError`, and may be repeated."""

    def get(self, path: str) -> Any:
        """Return what is at a path below ``/api``; None when nothing is."""

    def post(self, path: str, body: Tree) -> Any:
        """Create or act."""

    def put(self, path: str, body: Tree) -> Any:
        """Replace."""


class HttpGrafana:
    """A Grafana at a URL, with a service account's token."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 10.0) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: Such as ``https://grafana.example.org/monitoring``.
            token: Of a service account that may write dashboards, folders, data sources, alert rules and annotations.
            timeout_s: For each answer.

        Raises:
            GrafanaError: The URL is none.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise GrafanaError(f"{url!r} is no Grafana URL; write https://host or https://host/path", retry=False)
        prefix = parts.path.strip("/")
        self._url = url
        self._after_s: float | None = None
        self._api = GrafanaAPI(
            token,
            host=parts.hostname,
            port=parts.port,
            url_path_prefix=f"{prefix}/" if prefix else "",
            protocol=parts.scheme,
            timeout=timeout_s,
        )
        self._api.s.hooks["response"].append(self._notice)

    def get(self, path: str) -> Any:
        """Return what is at a path below ``/api``; None when nothing is."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Tree) -> Any:
        """Create or act."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Tree) -> Any:
        """Replace."""
        return self._ask("PUT", path, body)

    def close(self) -> None:
        """Let the connection go."""
        self._api.s.close()

    def _notice(self, answer: requests.Response, *_: object, **__: object) -> None:
        said = answer.headers.get("Retry-After", "")
        self._after_s = float(said) if said.isdigit() else None

    def _ask(self, verb: str, path: str, body: Tree | None) -> Any:
        where = f"{verb} {self._url.rstrip('/')}/api{path}"
        self._after_s = None
        try:
            return getattr(self._api, verb)(path, json=body, headers={"X-Disable-Provenance": "true"})
        except GrafanaClientError as error:
            if error.status_code == 404 and verb == "GET":
                return None
            raise self._refused(where, error) from error
        except GrafanaServerError as error:
            said = _short(error.message)
            text = f"{where}: Grafana failed ({said}); it is tried again, see its log if it lasts"
            raise GrafanaError(text, retry=True, after_s=self._after_s, status=error.status_code) from error
        except GrafanaException as error:
            raise GrafanaError(f"{where}: {_short(error.message)}", retry=False, status=error.status_code) from error
        except (requests.exceptions.JSONDecodeError, requests.exceptions.ChunkedEncodingError, TypeError) as error:
            text = f"{where}: the answer is no JSON (a proxy's page, or cut off); is this URL a Grafana's?"
            raise GrafanaError(text, retry=True) from error
        except requests.exceptions.RequestException as error:
            text = f"{where}: no answer ({type(error).__name__}); is Grafana up, and reachable from here?"
            raise GrafanaError(text, retry=True) from error

    def _refused(self, where: str, error: GrafanaClientError) -> GrafanaError:
        advice = {
            401: "the token is not valid; make a new one for the service account",
            403: "the service account may not do this; give it the role Editor and alerting rights",
            404: "there is no such thing; was the folder or data source removed meanwhile?",
            412: "somebody changed it meanwhile; it is read again and written again",
            429: "Grafana asks to be left alone for a while",
        }.get(error.status_code, _short(error.message))
        retry = error.status_code in {409, 412, 429}
        text = f"{where}: refused with {error.status_code}: {advice}"
        return GrafanaError(text, retry=retry, after_s=self._after_s, status=error.status_code)


def _short(text: object) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= 160 else f"{words[:157]}..."


def path_of(*parts: str) -> str:
    """Return a path below ``/api`` with each part quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def tagged(notes: Sequence[Tree], tag: str) -> Tree | None:
    """Return the annotation that has a tag, None when none has."""
    return next((one for one in notes if tag in one.get("tags", ())), None)
