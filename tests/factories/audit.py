"""Events as rooms above write them, without the rooms."""

from collections.abc import Mapping
from uuid import uuid4

from django.db import transaction

from releases.audit.actor import Actor, ActorKind
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent
from releases.audit.services import record


def a_person(name: str = "Ana Souza") -> Actor:
    return Actor(kind=ActorKind.PERSON, id=str(uuid4()), name=name, account="ana", methods=("password",))


def an_event(
    stream: str = "change:1",
    kind: Kind = Kind.CHANGE_DRAFTED,
    *,
    state: str = "draft",
    text: Mapping[str, str] | None = None,
    actor: Actor | None = None,
) -> AuditEvent:
    with transaction.atomic():
        return record(stream=stream, kind=kind, actor=actor or a_person(), data={"state": state}, text=text)
