"""What a person hears, when and how; each decides for themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from django.db import transaction

from releases.accounts import queries as accounts
from releases.accounts.models import Person
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog.models import Service
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.ids import uuid7
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _
from releases.notify import rules
from releases.notify.facts import Occasion
from releases.notify.kinds import Digest, Topic
from releases.notify.models import Subscription
from releases.notify.services import telling

Fields = dict[str, list[Sentence | str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody chose: topics, how they are gathered, quiet hours on the clock of a time zone."""

    topics: frozenset[Topic]
    digest: Digest = Digest.AT_ONCE
    quiet_from: time | None = None
    quiet_until: time | None = None
    time_zone: str = ""


@transaction.atomic(durable=True)
def subscribe(*, actor: Actor, wanted: Wanted, now: datetime, unchanged: Unchanged = nobody_looked) -> Subscription:
    """Choose what one hears oneself; pages come in any case.

    ``unchanged`` is asked under the lock.

    :raises Invalid: with the fields ``time_zone``, ``quiet_from`` or ``quiet_until``
    :raises NotPermitted: no person acts
    """
    person = accounts.person_behind(actor)
    if fields := problems(wanted):
        raise Invalid(Sentence(_("This cannot be saved as it is.")), fields=fields)
    row = _own(person)
    unchanged()
    put(row, wanted)
    _record(row, person, actor)
    return row


@transaction.atomic(durable=True)
def mute(*, actor: Actor, service_name: str, now: datetime) -> Subscription:
    """Keep what is about this service out of one's letters; it still stands on the page of notices.

    :raises Missing: there is no such service
    :raises NotPermitted: no person acts
    """
    return _mute(actor, service_name, silent=True)


@transaction.atomic(durable=True)
def unmute(*, actor: Actor, service_name: str, now: datetime) -> Subscription:
    """Hear of this service again.

    :raises Missing: there is no such service
    :raises NotPermitted: no person acts
    """
    return _mute(actor, service_name, silent=False)


def try_out(*, actor: Actor, now: datetime) -> None:
    """Send a test to oneself, the way one's notices go.

    :raises NotPermitted: no person acts
    """
    person = accounts.person_behind(actor)
    reason = Sentence(_("This is a test: notices reach you, %(name)s."), {"name": person.name})
    case = f"person:{person.pk}:test:{uuid7()}"
    telling.tell(occasion=Occasion(Topic.TEST, case, reason, link="/notices"), people=[person.pk], now=now)


def problems(wanted: Wanted) -> Fields:
    """Return what is wrong with a choice, by field."""
    fields: Fields = {}
    if wanted.time_zone and not rules.is_zone(wanted.time_zone):
        fields["time_zone"] = [Sentence(_("Name a time zone like America/Sao_Paulo."))]
    if (wanted.quiet_from is None) != (wanted.quiet_until is None):
        missing = "quiet_from" if wanted.quiet_from is None else "quiet_until"
        fields[missing] = [Sentence(_("Quiet hours have a beginning and an end."))]
    return fields


def put(row: Subscription, wanted: Wanted) -> None:
    """Write a choice that has no problems, inside the caller's transaction."""
    row.topics = sorted(topic.value for topic in wanted.topics)
    row.digest = wanted.digest.value
    row.quiet_from, row.quiet_until, row.time_zone = wanted.quiet_from, wanted.quiet_until, wanted.time_zone
    row.save()


def facts_of(row: Subscription) -> dict[str, object]:
    """Return a choice as the record keeps it."""
    hours = [one.isoformat("minutes") for one in (row.quiet_from, row.quiet_until) if one]
    muted: Iterable[UUID] = row.muted.order_by("pk").values_list("pk", flat=True)
    return {
        "topics": row.topics,
        "digest": row.digest,
        "quiet": hours,
        "time_zone": row.time_zone,
        "muted": [str(pk) for pk in muted],
    }


def _own(person: Person) -> Subscription:
    everything = sorted(topic.value for topic in rules.at_choice())
    row, _is_new = Subscription.objects.select_for_update().get_or_create(
        person=person, defaults={"topics": everything}
    )
    return row


def _mute(actor: Actor, service_name: str, *, silent: bool) -> Subscription:
    person = accounts.person_behind(actor)
    service = Service.objects.filter(name=service_name).first()
    if service is None:
        raise Missing(Sentence(_("There is no service %(name)s."), {"name": service_name[:63]}))
    row = _own(person)
    if silent:
        row.muted.add(service)
    else:
        row.muted.remove(service)
    _record(row, person, actor)
    return row


def _record(row: Subscription, person: Person, actor: Actor) -> None:
    data = {"person": str(person.pk), **facts_of(row)}
    audit.record(stream=person.stream, kind=Kind.SUBSCRIPTION_SET, actor=actor, data=data)
