"""Which keys sign checkpoints: ``checkpoint.pem`` does, ``checkpoint-….pem`` did and still verify."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from releases.core import keyfile

KEY = "checkpoint.pem"


def public_keys(folder: Path) -> list[Ed25519PublicKey]:
    """Return every key that may have signed a checkpoint.

    :raises BadFile: a file is open to others or not a key
    """
    found = (keyfile.load(place) for place in sorted(folder.glob("checkpoint*.pem")))
    return [key.public_key() for key in found if key]
