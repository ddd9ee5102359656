"""A real OpenID Connect issuer on loopback: discovery, keys, codes, PKCE, signed tokens; each can be made wrong."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT, SECRET = "retrigger", "a secret of the test"


def _text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """One issuer; `claims` changes what its tokens say, `key` what signs them."""

    def __init__(self, clock=time.time):
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
        self.published = jwk.KeySet([self.key])
        self.clock, self.claims, self.shared = clock, {}, None
        self.user = {"sub": "4711", "preferred_username": "anna", "groups": ["axo-oncall"]}
        self.codes, self.issuer_said = {}, None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._door())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sign(self, claims):
        """Return the signed token; with a ``shared`` secret, by HMAC as an attacker who knows the public key would."""
        if self.shared is None:
            return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        parts = [{"alg": "HS256", "kid": "k1"}, claims]
        said = ".".join(_text(json.dumps(one).encode()) for one in parts)
        return f"{said}.{_text(hmac.new(self.shared, said.encode(), hashlib.sha256).digest())}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def log_in(self, address):
        """Do what a browser does at the authorisation endpoint; return where it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"]})

    def token(self, form, authorisation):
        """Return the answer of the token endpoint: status and body."""
        asked = self.codes.pop(form.get("code", ""), None)
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or authorisation != basic or _text(digest) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(self.clock())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.user}
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        text = self.sign(claims)
        return 200, {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": text}

    def described(self):
        return {
            "issuer": self.issuer_said or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def _door(self):
        issuer = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self):
                path = urlsplit(self.path).path
                if path == "/authorize":
                    self.send_response(302)
                    self.send_header("location", issuer.log_in(self.path))
                    self.end_headers()
                    return
                known = {
                    "/.well-known/openid-configuration": issuer.described,
                    "/keys": lambda: issuer.published.as_dict(private=False),
                }
                self._say(200, known[path]()) if path in known else self._say(404, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._say(*issuer.token(form, self.headers.get("authorization")))

            def _say(self, status, body):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        return Door
