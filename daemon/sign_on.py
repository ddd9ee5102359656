"""A single sign-on by OpenID Connect: where to send people, and who came back, with which roles.

The code flow with PKCE, state and nonce, against an issuer that is found by its discovery document.  A group gives a
role by the mapping in the configuration, and by nothing else.  An identity is an issuer's subject, never a name that
the issuer may give to somebody else later; a local account is linked to it only by a person on the host.

References:
    OpenID Connect Core 1.0 §3.1 (code flow), §3.1.3.7 (ID token validation); RFC 7636 (PKCE); RFC 9700 (best practice).
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, cast

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from daemon.errors import LoginRefusedError

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
TIMEOUT_S = 10.0
LEEWAY_S = 60
OPEN_S = 600.0
MOST_OPEN = 500


@dataclass(frozen=True, kw_only=True)
class SignOnRules:
    """What an operator says about the issuer.

    Attributes:
        issuer: Its URL, as its tokens name it.
        client_id: Our name there.
        client_secret: Our password there; empty for a public client, which PKCE protects.
        roles: Which role a group gives.
        groups_claim: Claim of the ID token that lists the groups.
        name_claim: Claim that names the account.
        all_accounts_from_issuer: Whether everybody's account comes from it, so that nobody can hold another one here;
            if not, who signs on first holds no role until a root says whose account it is.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    roles: Mapping[str, str] = field(default_factory=dict)
    groups_claim: str = "groups"
    name_claim: str = "preferred_username"
    all_accounts_from_issuer: bool = False


@dataclass(frozen=True)
class Identity:
    """Who came back from the issuer."""

    issuer: str
    subject: str
    name: str
    roles: frozenset[str]


@dataclass(frozen=True)
class _Open:
    nonce: str
    verifier: str
    browser: str
    to: str
    at: datetime


class SignOn:
    """The code flow with one issuer; what is under way is kept in memory alone, and ends once or after ten minutes."""

    def __init__(self, rules: SignOnRules, callback: str, tokens: Callable[[], str]) -> None:
        """Take the rules, the address to which the issuer sends people back, and a source of unguessable text."""
        self._rules, self._callback, self._tokens = rules, callback, tokens
        self.all_accounts = rules.all_accounts_from_issuer
        self._open: dict[str, _Open] = {}
        self._lock = Lock()

    def begin(self, browser: str, to: str, now: datetime) -> str:
        """Return where to send a browser, which `browser` (a secret of its cookie) names when it comes back.

        Raises:
            LoginRefusedError: The issuer cannot be reached or is not the one that was configured.
        """
        found = self._discover()
        state, nonce, verifier = self._tokens(), self._tokens(), secrets.token_urlsafe(48)
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if _young(one, now)}
            while len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[state] = _Open(nonce, verifier, browser, to, now)
        with self._client() as client:
            url, _ = client.create_authorization_url(
                found["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    def finish(self, state: str, code: str, browser: str, now: datetime) -> tuple[Identity, str]:
        """Return who came back, and where they were going.

        Raises:
            LoginRefusedError: The state is unknown, used, too old or another browser's, the issuer refuses the code, or
                its token does not hold: signature, issuer, audience, times, nonce.
        """
        with self._lock:
            begun = self._open.pop(state, None)
        if begun is None or not _young(begun, now) or not hmac.compare_digest(begun.browser, browser):
            raise LoginRefusedError("this sign-on was not begun here, took too long, or was used; begin again")
        found = self._discover()
        try:
            with self._client() as client:
                token = client.fetch_token(
                    found["token_endpoint"], code=code, code_verifier=begun.verifier, timeout=TIMEOUT_S
                )
        except (AuthlibBaseError, requests.RequestException, ValueError) as error:
            raise LoginRefusedError(f"the single sign-on refused the code ({_why(error)}); begin again") from error
        claims = self._claims(found, str(token.get("id_token", "")), begun.nonce, now)
        return self._identity(claims), begun.to

    def _claims(self, found: Mapping[str, Any], text: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        try:
            keys = jwk.KeySet.import_key_set(cast("Any", _fetch(str(found["jwks_uri"]))))
            token = jwt.decode(text, keys, algorithms=list(ALGORITHMS))
            claims = CodeIDToken(
                token.claims,
                token.header,
                {"iss": {"essential": True, "value": self._rules.issuer}, "aud": {"values": [self._rules.client_id]}},
                {"nonce": nonce, "client_id": self._rules.client_id},
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as error:
            raise LoginRefusedError(f"the token of the single sign-on does not hold ({_why(error)})") from error
        return dict(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name, groups = claims.get(self._rules.name_claim), claims.get(self._rules.groups_claim, [])
        if not isinstance(name, str) or not isinstance(groups, list):
            raise LoginRefusedError(
                f"the token lacks {self._rules.name_claim!r} or its {self._rules.groups_claim!r} is no list; "
                "ask who runs the single sign-on to send both"
            )
        held = frozenset(self._rules.roles[group] for group in groups if group in self._rules.roles)
        return Identity(self._rules.issuer, str(claims["sub"]), name.lower(), held)

    def _discover(self) -> Mapping[str, Any]:
        try:
            found = _fetch(self._rules.issuer.rstrip("/") + "/.well-known/openid-configuration")
        except (requests.RequestException, ValueError) as error:
            raise LoginRefusedError(
                f"the single sign-on {self._rules.issuer} cannot be reached ({_why(error)}); local accounts still work"
            ) from error
        if found.get("issuer") != self._rules.issuer:
            raise LoginRefusedError(f"found the issuer {found.get('issuer')!r}, expected {self._rules.issuer!r}")
        return found

    def _client(self) -> OAuth2Session:
        rules = self._rules
        return OAuth2Session(
            rules.client_id,
            rules.client_secret or None,
            scope="openid profile",
            redirect_uri=self._callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if rules.client_secret else "none",  # a name
        )


def _young(one: _Open, now: datetime) -> bool:
    return 0 <= (now - one.at).total_seconds() <= OPEN_S


def _fetch(url: str) -> dict[str, Any]:
    answer = requests.get(url, timeout=TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    found = answer.json()
    if answer.is_redirect or not isinstance(found, dict):
        raise ValueError(f"{url} gives no JSON object")
    return found


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
