"""What is sent and how the other side is asked: letters in, one HTTP post or one mail out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from releases.core.errors import Sentence, Unreachable
from releases.core.http import Reply


@dataclass(frozen=True, slots=True)
class Item:
    """One notice inside a letter, said in its reader's language; ``facts`` are the same for programs."""

    reason: str
    lines: tuple[str, ...]
    url: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent; several items make a digest.

    ``id`` stays the same over all tries. ``answers`` is the id of the letter that this one follows in ``thread``;
    ``open`` is what the link is called, ``footer`` why one gets this and where to change it.
    """

    id: str
    thread: str
    subject: str
    items: tuple[Item, ...]
    open: str
    footer: str
    footer_url: str
    told_at: datetime
    language: str
    is_page: bool = False
    is_settled: bool = False
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a letter is posted: the open part of the path, and the secrets, newest first."""

    path: str
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Address({self.path!r})"


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP post."""

    path: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Post({len(self.content)} bytes)"


class Later(Unreachable):
    """The other side asks for a rest of so many seconds."""

    def __init__(self, detail: Sentence | str, *, seconds: float) -> None:
        """Keep how long."""
        super().__init__(detail)
        self.seconds = seconds


class Poster(Protocol):
    """A kind of system that takes letters over HTTP."""

    def post(self, letter: Letter, *, to: Address, now: datetime) -> Post:
        """Return the call that hands the letter over."""

    def check(self, reply: Reply) -> None:
        """Return when the reply says that the letter arrived.

        :raises Rejected: a clear no
        :raises Unreachable: not now; :class:`Later` when the other side says when
        """
