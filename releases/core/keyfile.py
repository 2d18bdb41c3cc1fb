"""Ed25519 keys in files of their own, readable by their owner only, made at first use."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from releases.core import ownfile
from releases.core.ownfile import BadFile


def load(place: Path) -> Ed25519PrivateKey | None:
    """Return the key of a file, ``None`` when there is no file.

    :raises BadFile: others may read or change the file, or it holds no Ed25519 key
    """
    pem = ownfile.read(place)
    if pem is None:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadFile(f"{place.name} is not a key in PEM form.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadFile(f"{place.name} is not an Ed25519 key.")
    return key


def load_or_make(place: Path) -> Ed25519PrivateKey:
    """Return the key of a file, made when there is none; of two that make it at once, the first one's key stays.

    :raises BadFile: others may read or change the file, or it holds no Ed25519 key
    """
    if found := load(place):
        return found
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ownfile.write_new(place, pem)
    return load(place) or made
