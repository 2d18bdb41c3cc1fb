"""A keeper of passkeys in software, as honest as a phone unless a test makes it lie."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(said: str) -> bytes:
    return urlsafe_b64decode(said + "=" * (-len(said) % 4))


@dataclass
class Keeper:
    """Keeps one passkey for one page's origin; ``flags`` say whether somebody was there and proved it."""

    origin: str = "http://localhost"
    flags: int = PRESENT | VERIFIED
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    owner: bytes = b""
    count: int = 0

    def create(self, asked: dict[str, Any]) -> str:
        """Make the passkey a page asked for, and return what the page sends on."""
        options = asked["publicKey"]
        self.owner = raw(options["user"]["id"])
        public = ES256.from_cryptography_key(self.key.public_key())
        held = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.encode(dict(public))
        about = self._about(options["rp"]["id"], self.flags | ATTESTED) + held
        attested = cbor.encode({"fmt": "none", "attStmt": {}, "authData": about})
        return self._said(
            {
                "clientDataJSON": text(self._heard("webauthn.create", options["challenge"])),
                "attestationObject": text(attested),
            },
            {"credProps": {"rk": True}},
        )

    def get(self, asked: dict[str, Any], *, rp: str = "", owner: bytes | None = None) -> str:
        """Answer a page that asks who it is, and return what the page sends on."""
        options = asked["publicKey"]
        heard = self._heard("webauthn.get", options["challenge"])
        self.count += 1
        about = self._about(rp or options["rpId"], self.flags)
        signature = self.key.sign(about + hashlib.sha256(heard).digest(), ec.ECDSA(hashes.SHA256()))
        return self._said(
            {
                "clientDataJSON": text(heard),
                "authenticatorData": text(about),
                "signature": text(signature),
                "userHandle": text(self.owner if owner is None else owner),
            },
            {},
        )

    def _about(self, rp: str, flags: int) -> bytes:
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _heard(self, kind: str, challenge: str) -> bytes:
        heard = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(heard).encode()

    def _said(self, response: dict[str, str], extensions: dict[str, Any]) -> str:
        return json.dumps(
            {
                "id": text(self.id),
                "rawId": text(self.id),
                "type": "public-key",
                "authenticatorAttachment": "platform",
                "clientExtensionResults": extensions,
                "response": response,
            }
        )
