"""Ed25519 keys in files of their own, readable by their owner only, made at first use."""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OPEN_TO_OTHERS = 0o027  # a group may read (mounted secrets), nobody but the owner may write


class BadKey(Exception):
    """The key file cannot be used; says which and why."""


def load(place: Path) -> Ed25519PrivateKey | None:
    """Return the key of a file, ``None`` when there is no file.

    :raises BadKey: others may read or change the file, or it holds no Ed25519 key
    """
    try:
        pem = place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadKey(f"{place.name} cannot be read: {error.strerror}.") from error
    if place.stat().st_mode & _OPEN_TO_OTHERS:
        raise BadKey(f"{place.name} is open to others on this machine; set its mode to 0600.")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadKey(f"{place.name} is not a key in PEM form.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{place.name} is not an Ed25519 key.")
    return key


def load_or_make(place: Path) -> Ed25519PrivateKey:
    """Return the key of a file, made when there is none; of two that make it at once, the first one's key stays.

    :raises BadKey: others may read or change the file, or it holds no Ed25519 key
    """
    found = load(place)
    if found:
        return found
    made = Ed25519PrivateKey.generate()
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, place)
    except FileExistsError:
        found = load(place)
    finally:
        draft.unlink()
    return found or made
