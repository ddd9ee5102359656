"""A passkey made of software: the bytes of a real authenticator, so that no test needs a browser for the rules."""

import hashlib
import json
import secrets

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class SoftPasskey:
    """One credential at one site; `count` is what its next signature says, `flags` whether its user was there."""

    def __init__(self, origin, rp_id, count=1):
        self.origin, self.rp_id, self.count = origin, rp_id, count
        self.key, self.id = generate_private_key(SECP256R1()), secrets.token_bytes(32)
        self.flags = PRESENT | VERIFIED

    def make(self, options):
        """Return what ``navigator.credentials.create`` gives for these options."""
        numbers = self.key.public_key().public_numbers()
        cose = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        data = self._data(self.flags | ATTESTED) + attested
        client = self._client("webauthn.create", options["challenge"])
        statement = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        return self._json(
            {"attestationObject": bytes_to_base64url(statement), "clientDataJSON": bytes_to_base64url(client)}
        )

    def sign(self, options):
        """Return what ``navigator.credentials.get`` gives for these options."""
        self.count += 1
        data, client = self._data(self.flags), self._client("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ECDSA(SHA256()))
        return self._json(
            {
                "authenticatorData": bytes_to_base64url(data),
                "clientDataJSON": bytes_to_base64url(client),
                "signature": bytes_to_base64url(signature),
                "userHandle": None,
            }
        )

    def _data(self, flags):
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind, challenge):
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _json(self, response):
        name = bytes_to_base64url(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}


def flipped(text, place=-3):
    """Return base64url text of bytes with one bit changed."""
    raw = bytearray(base64url_to_bytes(text))
    raw[place] ^= 1
    return bytes_to_base64url(bytes(raw))
