"""The exact text of an event: what is inside it, how it is hashed, what it refuses to carry."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias
from uuid import UUID

from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core import canonical
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _

JSON: TypeAlias = Any  # what json.dumps takes; ``check`` refuses the rest at run time

VERSION = 1
FIRST = "0" * 64  # stands for the event before the first one
LEAF = b"\x00"  # RFC 6962: a leaf and an inner node can never have the same hash
_EXACT = 2**53 - 1  # past it, JSON's numbers are no longer exact
_UNREADABLE = _("The field %(field)s holds a character that cannot be kept (%(what)s); remove it.")
_TOO_LARGE = _("The field %(field)s holds a number that cannot be kept exactly; send it as text.")


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a stream: what the next one builds on. ``occurred_us`` is microseconds since 1970 UTC."""

    version: int = 0
    leaf_hash: str = FIRST
    occurred_us: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """What an event tells, before it has a place in its stream. ``text`` maps a field to its commitment."""

    event_id: UUID
    stream: str
    kind: Kind
    actor: Actor
    data: Mapping[str, JSON]
    text: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""
    operation: str = ""


def compose(content: Content, *, head: Head, occurred_us: int) -> str:
    """Return the canonical text of the event that follows this head; time never runs backwards in a stream.

    :raises Invalid: a field holds what cannot be kept: NUL, a lone surrogate, a number that is not exact
    :raises TypeError: a field holds what JSON does not know
    """
    actor = content.actor
    document = {
        "v": VERSION,
        "event_id": str(content.event_id),
        "stream": content.stream,
        "stream_version": head.version + 1,
        "prev": head.leaf_hash,
        "kind": str(content.kind),
        "occurred_us": max(occurred_us, head.occurred_us),
        "actor": {
            "kind": str(actor.kind),
            "id": actor.id,
            "name": actor.name,
            "account": actor.account,
            "session": actor.session,
            "signed_in_us": canonical.microseconds(actor.signed_in_at) if actor.signed_in_at else None,
            "methods": list(actor.methods),
        },
        "request": actor.request,
        "cause": content.cause,
        "operation": content.operation,
        "data": content.data,
        "text": dict(content.text),
    }
    check(document)
    return canonical.encode(document).decode()


def parse(body: str) -> dict[str, Any]:
    """Return the document of a stored text.

    :raises ValueError: the text is not canonical JSON of an object, so it is not what was written
    """
    try:
        document = json.loads(body)
        same = isinstance(document, dict) and canonical.encode(document).decode() == body
    except RecursionError as error:
        raise ValueError("the body is nested too deeply") from error
    if not same:
        raise ValueError("the body is not canonical")
    return document  # type: ignore[no-any-return]  # checked above, mypy forgets it


def leaf_hash(body: str) -> str:
    """Return the hexadecimal RFC 6962 leaf hash of a body."""
    return hashlib.sha256(LEAF + body.encode("utf-8", "surrogatepass")).hexdigest()


def commitment(salt: str, text: str) -> str:
    """Return what the event keeps of a free text: the hexadecimal SHA-256 of salt and text.

    The salt has a fixed length, so that the border between the two is clear.
    """
    return hashlib.sha256((salt + text).encode("utf-8", "surrogatepass")).hexdigest()


def check(value: object, field: str = "") -> None:
    """Look for what cannot be kept, in keys and values, at any depth.

    :raises Invalid: with the path of the field
    :raises TypeError: this is not JSON
    """
    for path, one in _walk(value, field):
        if isinstance(one, str):
            _check_text(one, path)
        elif isinstance(one, int | float):
            if not isfinite(one) or abs(one) > _EXACT:
                raise _invalid(_TOO_LARGE, path)
        elif one is not None:
            raise TypeError(f"{path} is a {type(one).__name__}, which an event cannot keep")


def _walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield every leaf with its path; a key is a leaf too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path} has the key {key!r}; keys are text")
            yield f"{path}.{_shown(key)}".lstrip("."), key
            yield from _walk(inner, f"{path}.{_shown(key)}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise _invalid(_UNREADABLE, path, what="NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(_UNREADABLE, path, what=f"U+{ord(text[error.start]):04X}") from error


def _invalid(text: str, path: str, **parts: str) -> Invalid:
    sentence = Sentence(text, {"field": path, **parts})
    return Invalid(sentence, fields={path: [sentence]})


def _shown(key: str) -> str:
    return key.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
