"""A checkpoint as a signed note (C2SP tlog-checkpoint and signed-note), Ed25519, pure.

::

    gmud/audit/1                 origin: log and epoch
    4711                         tree size
    CsUY…                        root, base64
    time 1789392000000000        microseconds since 1970 UTC by the database's clock

    — gmud/audit/1 wXyz…         base64 of key id (4 bytes) and signature
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOG = "gmud/audit/"
_ED25519 = b"\x01"
_LINES = 4
_ROOT_BYTES = 32
_ID_BYTES = 4


class BadNote(ValueError):
    """The text is not a checkpoint of ours, or nobody we know signed it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint says: at this time, the tree of this epoch had this size and this root (hexadecimal)."""

    epoch: int
    size: int
    root: str
    at_us: int

    def __str__(self) -> str:
        """Return the text that is signed, with its last newline."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        return f"{LOG}{self.epoch}\n{self.size}\n{root}\ntime {self.at_us}\n"


def sign(statement: Statement, key: Ed25519PrivateKey) -> str:
    """Return the signed note."""
    text, name = str(statement), f"{LOG}{statement.epoch}"
    signature = key_id(name, key.public_key()) + key.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def read(note: str, keys: Iterable[Ed25519PublicKey]) -> Statement:
    """Return what a note says, once one of these keys is found to have signed exactly this text.

    :raises BadNote: it is not in our form, or its signature is not by one of these keys
    """
    text, gap, signatures = note.partition("\n\n")
    text += "\n"
    if not gap or not signatures.endswith("\n"):
        raise BadNote("the note has no signature")
    statement = _statement(text)
    if str(statement) != text:
        raise BadNote("the note is not in the exact form that is signed")
    name = f"{LOG}{statement.epoch}"
    known = {key_id(name, key): key for key in keys}
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) != 1 or not _signed_by(lines[0], name, known, text.encode()):
        raise BadNote("the note is not signed by a key of this log")
    return statement


def signed_at(note: str) -> int:
    """Return when a note says it was signed, in microseconds, without looking at its signature."""
    return _statement(note.partition("\n\n")[0] + "\n").at_us


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """Return the four bytes that hint at a key in a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:_ID_BYTES]


def verifier(epoch: int, key: Ed25519PublicKey) -> str:
    """Return the public key in the form that C2SP tools take."""
    name = f"{LOG}{epoch}"
    public = base64.b64encode(_ED25519 + key.public_bytes_raw()).decode()
    return f"{name}+{key_id(name, key).hex()}+{public}"


def _statement(text: str) -> Statement:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != _LINES or not lines[0].startswith(LOG) or not lines[3].startswith("time "):
        raise BadNote("the note is not a checkpoint of this log")
    try:
        root = base64.b64decode(lines[2], validate=True)
        numbers = [int(lines[0].removeprefix(LOG)), int(lines[1]), int(lines[3].removeprefix("time "))]
    except ValueError as error:
        raise BadNote("the note holds what is no number or no root") from error
    if len(root) != _ROOT_BYTES:
        raise BadNote("the root has another length")
    return Statement(epoch=numbers[0], size=numbers[1], root=root.hex(), at_us=numbers[2])


def _signed_by(line: str, name: str, known: dict[bytes, Ed25519PublicKey], text: bytes) -> bool:
    prefix = f"— {name} "
    if not line.startswith(prefix):
        return False
    encoded = line.removeprefix(prefix)
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    key = known.get(blob[:_ID_BYTES])
    if key is None or base64.b64encode(blob).decode() != encoded:  # one spelling only, so that no edit goes unseen
        return False
    try:
        key.verify(blob[_ID_BYTES:], text)
    except InvalidSignature:
        return False
    return True
