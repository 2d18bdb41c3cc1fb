"""The Ed25519 keys that sign permits and receipts, as files in one folder; the newest signs, all verify.

A key file is named ``permit-<kid>.pem``; its mode is 0600. Rotation: make the next one (``manage.py keys rotate``),
remove the old file once its last permit has expired.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "permit-"


def make(folder: Path, *, kid: str = "") -> str:
    """Write a new key file and return its key id."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kid = kid or f"p-{secrets.token_hex(6)}"
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place = folder / f"{PREFIX}{kid}.pem"
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return kid


def signing(folder: Path) -> tuple[str, Ed25519PrivateKey] | None:
    """Return the newest key and its id, or ``None`` when the folder holds none."""
    files = sorted(folder.glob(f"{PREFIX}*.pem"), key=lambda place: (place.stat().st_mtime_ns, place.name))
    return (_kid(files[-1]), _load(files[-1])) if files else None


def verifying(folder: Path) -> Mapping[str, Ed25519PublicKey]:
    """Return every public key by its id."""
    return {_kid(place): _load(place).public_key() for place in sorted(folder.glob(f"{PREFIX}*.pem"))}


def jwks(keys: Mapping[str, Ed25519PublicKey]) -> dict[str, list[dict[str, str]]]:
    """Return the JSON Web Key Set of these keys (RFC 8037)."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": kid,
                "x": base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode(),
            }
            for kid, key in sorted(keys.items())
        ]
    }


def from_jwks(document: Mapping[str, list[Mapping[str, str]]]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JSON Web Key Set by their id; others are left out.

    :raises ValueError: a key is malformed
    """
    return {
        one["kid"]: Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(one["x"] + "=" * (-len(one["x"]) % 4)))
        for one in document.get("keys", [])
        if one.get("kty") == "OKP" and one.get("crv") == "Ed25519"
    }


def _kid(place: Path) -> str:
    return place.stem.removeprefix(PREFIX)


def _load(place: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(place.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{place.name} is not an Ed25519 key")
    return key
