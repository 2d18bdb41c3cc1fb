"""Find events: by stream, subject of their kind and doer, newest first, a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from releases.audit.models import AuditEvent

PAGE = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events: of a stream, of a kind (``change.submitted``) or a subject (``change``), by these doers' ids."""

    stream: str = ""
    kind: str = ""
    actors: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, str | list[str]]:
        """Return what was asked for, without what was left open."""
        named = {"stream": self.stream, "kind": self.kind}
        found: dict[str, str | list[str]] = {name: value for name, value in named.items() if value}
        return found if self.actors is None else {**found, "actors": list(self.actors)}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: the moment of its oldest event and, of several at that moment, which."""

    occurred_us: int
    event_id: UUID

    def __str__(self) -> str:
        """Return it as it stands in an address."""
        return f"{self.occurred_us}.{self.event_id}"

    @classmethod
    def read(cls, text: str) -> "Cursor | None":
        """Return what an address says, ``None`` when it says nothing that can be read."""
        moment, _dot, event_id = text.partition(".")
        try:
            return cls(int(moment), UUID(event_id)) if len(moment) < len(str(2**63)) else None
        except ValueError:
            return None


def matching(asked: Asked) -> QuerySet[AuditEvent]:
    """Return the events that were asked for, oldest first."""
    found = AuditEvent.objects.order_by("occurred_us", "event_id")
    if asked.stream:
        found = found.filter(stream=asked.stream)
    if asked.kind:
        found = found.filter(Q(kind=asked.kind) | Q(kind__startswith=f"{asked.kind}."))
    if asked.actors is not None:
        found = found.filter(actor_id__in=asked.actors)
    return found


def page(asked: Asked, before: Cursor | None, *, most: int = PAGE) -> tuple[list[AuditEvent], Cursor | None]:
    """Return the newest events before the cursor, newest first, and where the next page begins, if there is one."""
    found = matching(asked).order_by("-occurred_us", "-event_id")
    if before:
        at, event_id = before.occurred_us, before.event_id
        found = found.filter(Q(occurred_us__lt=at) | Q(occurred_us=at, event_id__lt=event_id))
    rows = list(found[: most + 1])
    last = rows[most - 1] if len(rows) > most else None
    return rows[:most], Cursor(last.occurred_us, last.event_id) if last else None


def in_turn(asked: Asked, *, chunk: int = 500) -> Iterator[list[AuditEvent]]:
    """Yield all events that were asked for, oldest first, some at a time."""
    some: list[AuditEvent] = []
    for event in matching(asked).iterator(chunk_size=chunk):
        some.append(event)
        if len(some) == chunk:
            yield some
            some = []
    if some:
        yield some
