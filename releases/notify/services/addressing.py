"""How each addressee wants to hear: what they chose, or everything at once by e-mail."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from releases.accounts.models import Person
from releases.catalog.models import Service
from releases.notify import mail
from releases.notify.facts import Preferences, QuietHours
from releases.notify.kinds import ChannelKind, Digest, Sink, Topic
from releases.notify.models import Channel, Subscription
from releases.notify.sinks import SINK_OF


def of_people(people: Iterable[UUID]) -> Mapping[UUID, Preferences]:
    """Return how the active ones of these persons want to hear."""
    living = {person.pk: person for person in Person.objects.filter(pk__in=set(people), is_active=True)}
    chosen = {one.person_id: one for one in _subscriptions().filter(person_id__in=living)}
    offered = mail.why_not_offered() is None
    return {
        pk: preferences_of(chosen.get(pk), Sink.EMAIL if offered and person.email else Sink.HERE)
        for pk, person in living.items()
    }


def of_person(person_id: UUID | None) -> Preferences:
    """Return how one person wants to hear; whoever left hears nothing."""
    found = of_people([person_id] if person_id else [])
    return next(iter(found.values()), preferences_of(None, Sink.HERE))


def of_channels(topic: Topic, services: Iterable[UUID]) -> Mapping[UUID, Preferences]:
    """Return the channels that subscribed to this, and how they want to hear."""
    teams = Service.objects.filter(pk__in=set(services)).values("team")
    found = _subscriptions().filter(Q(team=None) | Q(team__in=teams), channel__isnull=False, channel__removed_at=None)
    return {
        one.channel_id: preferences_of(one, SINK_OF[ChannelKind(one.channel.kind)])
        for one in found
        if one.channel_id and one.channel and topic in one.topics
    }


def of_channel(channel: Channel) -> Preferences:
    """Return how one channel wants to hear."""
    return preferences_of(_subscriptions().filter(channel=channel).first(), SINK_OF[ChannelKind(channel.kind)])


def preferences_of(chosen: Subscription | None, sink: Sink) -> Preferences:
    """Return a subscription as the rules read it, the default when there is none."""
    if chosen is None:
        return Preferences(sink, settings.TIME_ZONE)
    starts, ends = chosen.quiet_from, chosen.quiet_until
    return Preferences(
        sink=sink,
        zone=chosen.time_zone or settings.TIME_ZONE,
        topics=frozenset(Topic(topic) for topic in chosen.topics if topic in set(Topic)),
        muted=frozenset(service.pk for service in chosen.muted.all()),
        quiet=QuietHours(starts, ends) if starts is not None and ends is not None else None,
        digest=Digest(chosen.digest),
    )


def language_of(person: Person) -> str:
    """Return the language of a person's first account that names one."""
    return next((one.language for one in person.accounts.all() if one.language), "")


def _subscriptions() -> QuerySet[Subscription]:
    return Subscription.objects.select_related("channel").prefetch_related("muted")
