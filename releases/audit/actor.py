"""Who acts: a person through an account, a machine through a token, or a part of the system."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """What acts."""

    PERSON = "person"
    MACHINE = "machine"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as the record keeps it.

    ``id`` is the person's or the machine's id, or the name of the part of the system. ``name`` is kept as it was at
    that time. ``session`` is a digest of the session key, never the key. ``signed_in_at`` says when the person last
    proved who they are, ``methods`` how.
    """

    kind: ActorKind
    id: str
    name: str
    account: str = ""
    session: str = ""
    signed_in_at: datetime | None = None
    methods: tuple[str, ...] = ()
    request: str = ""

    @property
    def person_id(self) -> UUID | None:
        """Return the person's id, or ``None`` for everything that is no person."""
        return UUID(self.id) if self.kind is ActorKind.PERSON else None


def system(name: str) -> Actor:
    """Return a part of the system as an actor."""
    return Actor(kind=ActorKind.SYSTEM, id=name, name=name)
