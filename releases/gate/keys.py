"""Which key signs permits and receipts: of the key files in one folder the newest signs, all verify.

Others may keep a copy of the published keys for five minutes. So long a new key is only published, and the one before
goes on signing.

A key file is named ``permit-<kid>.pem``; its mode is 0600. Rotation: make the next one (``manage.py keys make``),
remove the old file once its last permit has expired.
"""

import base64
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from releases.core import keyfile
from releases.core.ids import uuid7

PREFIX = "permit-"
COPIES_LIVE_SECONDS = 300


def make(folder: Path) -> str:
    """Write a new key file and return its key id."""
    kid = f"p-{uuid7().hex[:20]}"  # grows with time: a copy of the folder may give all files the same one
    keyfile.load_or_make(folder / f"{PREFIX}{kid}.pem")
    return kid


def signing(folder: Path) -> tuple[str, Ed25519PrivateKey] | None:
    """Return the newest key that everybody can know by now and its id, or ``None`` when the folder holds none.

    :raises BadFile: others may read or change its file, or it holds no Ed25519 key
    """
    files = sorted(_files(folder), key=lambda place: (place.stat().st_mtime, place.name))
    known = [place for place in files if time.time() - place.stat().st_mtime >= COPIES_LIVE_SECONDS]
    place = next(reversed(known or files), None)
    key = keyfile.load(place) if place else None
    return (_kid(place), key) if place and key else None


def verifying(folder: Path) -> Mapping[str, Ed25519PublicKey]:
    """Return every public key by its id.

    :raises BadFile: others may read or change a file, or it holds no Ed25519 key
    """
    found = {_kid(place): keyfile.load(place) for place in sorted(_files(folder))}
    return {kid: key.public_key() for kid, key in found.items() if key}


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
                "x": as_text(key),
            }
            for kid, key in sorted(keys.items())
        ]
    }


def from_jwks(document: Mapping[str, list[Mapping[str, str]]]) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JSON Web Key Set by their id; others are left out.

    :raises ValueError: a key is malformed
    """
    return {
        one["kid"]: from_text(one["x"])
        for one in document.get("keys", [])
        if one.get("kty") == "OKP" and one.get("crv") == "Ed25519"
    }


def as_text(key: Ed25519PublicKey) -> str:
    """Return a public key as key sets carry it: base64url without padding."""
    return base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()


def from_text(text: str) -> Ed25519PublicKey:
    """Return the public key of such a text.

    :raises ValueError: it is none
    """
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _files(folder: Path) -> Iterable[Path]:
    return folder.glob(f"{PREFIX}*.pem")


def _kid(place: Path) -> str:
    return place.stem.removeprefix(PREFIX)
