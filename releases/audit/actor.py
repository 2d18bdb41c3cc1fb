"""Who did it, as the record keeps it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    """What kind of doer."""

    MACHINE = "machine"
    PERSON = "person"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a machine with a token, or a part of this system.

    ``id`` is the Person's or ApiClient's id, or the name of the system part; ``name`` is what they were called then.
    ``account`` is the user name or the token's prefix, ``session`` a digest of the session key and never the key.
    ``signed_in_at`` is when this person last proved who they are, ``methods`` how.
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
        """Return the person's id, ``None`` for machines and the system."""
        return UUID(self.id) if self.kind is ActorKind.PERSON else None


def system(name: str) -> Actor:
    """Return the actor for a part of this system, such as ``worker``."""
    return Actor(kind=ActorKind.SYSTEM, id=name, name=name)
