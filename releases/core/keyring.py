"""A ring of AES-256-GCM keys in one file: the first key seals, every key opens.

A box is bound to a text (the *associated data*): opened with another text, it does not open. Each box has a random
nonce of its own and names its key, so that keys can change while boxes sealed with older ones stay readable.

Box: one byte format, one byte length of the key's name, the name, 12 bytes nonce, ciphertext with its 16-byte tag.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from releases.core import ownfile
from releases.core.ownfile import BadFile

FILE = "connections.keyring.json"
_FORMAT = 1
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Unopenable(Exception):
    """The box was not sealed with a key of this ring for this text, or it was changed."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by name in the order of the file."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def first(self) -> str:
        """Return the name of the key that seals."""
        return next(iter(self.keys))

    def seal(self, plaintext: str, *, bound_to: str) -> bytes:
        """Return a box that opens only with the same text."""
        head = _head(self.first)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.first]).encrypt(nonce, plaintext.encode(), head + bound_to.encode())
        return head + nonce + sealed

    def open(self, box: bytes, *, bound_to: str) -> str:
        """Return what was sealed.

        :raises Unopenable: another text, a changed box, or a key that is no longer in the ring
        """
        name = key_name(box)
        if name not in self.keys:
            raise Unopenable(f"The key {name} is not in the ring.")
        head = _head(name)
        nonce, sealed = box[len(head) : len(head) + _NONCE_BYTES], box[len(head) + _NONCE_BYTES :]
        try:
            return AESGCM(self.keys[name]).decrypt(nonce, sealed, head + bound_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unopenable("The box does not belong to this text, or it was changed.") from error


def key_name(box: bytes) -> str:
    """Return the name of the key a box was sealed with.

    :raises Unopenable: this is not a box
    """
    if len(box) < 2 or box[0] != _FORMAT or len(box) < 2 + box[1] + _NONCE_BYTES:
        raise Unopenable("This is not a sealed box.")
    return box[2 : 2 + box[1]].decode("ascii", "replace")


def load(folder: Path) -> KeyRing:
    """Read the ring of a folder; made with one key when there is none (mode 0600).

    :raises BadFile: the file is open to others, or not a ring
    """
    place = folder / FILE
    if not place.exists():
        ownfile.write_new(place, _text({_new_name(): secrets.token_bytes(_KEY_BYTES)}))
    return _read(place)


def rotate(folder: Path) -> str:
    """Put a new key in front and return its name; older keys stay, for what they sealed.

    :raises BadFile: the file is open to others, or not a ring
    """
    old = load(folder).keys
    name = _new_name()
    ownfile.replace(folder / FILE, _text({name: secrets.token_bytes(_KEY_BYTES), **old}))
    return name


def drop(folder: Path, name: str) -> None:
    """Take a key out of the ring; what it sealed no longer opens.

    :raises BadFile: it is the one that seals, or the file is not a ring
    """
    ring = load(folder)
    if name == ring.first:
        raise BadFile("The first key seals new secrets; rotate before dropping it.")
    ownfile.replace(folder / FILE, _text({one: key for one, key in ring.keys.items() if one != name}))


def _head(name: str) -> bytes:
    return bytes((_FORMAT, len(name))) + name.encode("ascii")


def _new_name() -> str:
    return f"k{secrets.token_hex(4)}"


def _read(place: Path) -> KeyRing:
    try:
        entries = json.loads(ownfile.read(place) or b"")["keys"]
        keys = {str(one["kid"]): base64.b64decode(one["key"], validate=True) for one in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f'{place.name} does not look like {{"keys": [{{"kid": "…", "key": "base64"}}]}}.') from error
    if not keys or len(keys) != len(entries) or any(len(key) != _KEY_BYTES for key in keys.values()):
        raise BadFile(f"{place.name} needs at least one key, each of 32 bytes under a name of its own.")
    if any(len(set(key)) == 1 for key in keys.values()):
        raise BadFile(f"{place.name} holds a key that is one byte repeated.")
    return KeyRing(MappingProxyType(keys))


def _text(keys: Mapping[str, bytes]) -> bytes:
    entries = [{"kid": name, "key": base64.b64encode(key).decode()} for name, key in keys.items()]
    return json.dumps({"keys": entries}, indent=1).encode()
