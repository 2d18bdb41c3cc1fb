"""Tables of notices: shared channels, how people and channels want to hear, and what was told to whom."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from releases.accounts.columns import one_of, slug_check
from releases.accounts.models import Person, Team
from releases.catalog.models import Service
from releases.core.ids import uuid7
from releases.notify.kinds import ChannelKind, Digest, Sink, Topic
from releases.notify.states import NoticeState


class Channel(models.Model):
    """A place many people read: a Slack or Teams webhook, a signed webhook, a mailbox of a team.

    The secret is sealed together with the origin it may be sent to, as those of connections are. Of Slack and Teams
    it is what follows the origin in the address; of a webhook it is the key that signs.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=16)
    origin = models.CharField(max_length=250, blank=True)
    path = models.CharField(max_length=250, blank=True)
    address = models.EmailField(blank=True)
    language = models.CharField(max_length=10, blank=True)
    secret_box = models.BinaryField(null=True, blank=True, editable=False)
    secret_version = models.PositiveIntegerField(default=0, editable=False)
    secret_last4 = models.CharField(max_length=4, blank=True, editable=False)
    previous_box = models.BinaryField(null=True, blank=True, editable=False)
    previous_until_at = models.DateTimeField(null=True, blank=True)
    heard_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            slug_check("name", name="channel_name_is_a_slug"),
            one_of("kind", ChannelKind, name="channel_kind_is_known"),
            models.CheckConstraint(
                name="channel_leads_somewhere",
                condition=(Q(kind=ChannelKind.EMAIL) & ~Q(address="")) | (~Q(kind=ChannelKind.EMAIL) & ~Q(origin="")),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def stream(self) -> str:
        """Return the audit stream of this channel."""
        return f"channel:{self.pk}"


class Subscription(models.Model):
    """How a person, or a channel, wants to hear; a person without one hears everything at once by e-mail.

    ``team`` narrows a channel to the services of that team. ``topics`` empty in the table means none at all.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    person = models.OneToOneField(Person, on_delete=models.CASCADE, null=True, blank=True, related_name="subscription")
    channel = models.OneToOneField(
        Channel, on_delete=models.CASCADE, null=True, blank=True, related_name="subscription"
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, blank=True, related_name="subscriptions")
    topics = models.JSONField(default=list)
    muted = models.ManyToManyField(Service, related_name="+", blank=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=16, default=Digest.AT_ONCE)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="subscription_of_a_person_or_a_channel",
                condition=Q(person__isnull=False, channel=None, team=None) | Q(person=None, channel__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_quiet_from_and_until",
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
            one_of("digest", Digest, name="subscription_digest_is_known"),
        )

    def __str__(self) -> str:
        return str(self.channel or self.person)


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices by what can be done with them."""

    def due(self, now: datetime) -> "NoticeQuerySet":
        """Return what somebody should send now and nobody who still lives is sending."""
        free = Q(claimed_until=None) | Q(claimed_until__lte=now)
        return self.filter(free, state=NoticeState.PENDING, due_at__lte=now)

    def of_case(self, case: str) -> "NoticeQuerySet":
        """Return everything told of a case, what followed included."""
        return self.filter(case=case)

    def asked(self) -> "NoticeQuerySet":
        """Leave out what only follows another notice."""
        return self.filter(follows=None)


class Notice(models.Model):
    """One thing told to one addressee, once: ``key`` is the case and the addressee.

    The row is the queue as well: attempts are counted before each try, a claim ends by itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=250, unique=True)
    case = models.CharField(max_length=150, db_index=True)
    topic = models.CharField(max_length=32)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="notices")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, null=True, blank=True, related_name="notices")
    sink = models.CharField(max_length=16)
    reason = models.JSONField()
    lines = models.JSONField(default=list)
    link = models.CharField(max_length=300)
    rung = models.PositiveSmallIntegerField(default=0)
    follows = models.OneToOneField("self", on_delete=models.CASCADE, null=True, blank=True, related_name="followed_by")
    state = models.CharField(max_length=16, default=NoticeState.PENDING)
    told_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=120, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-told_at", "-id")
        constraints = (
            models.CheckConstraint(
                name="notice_to_a_person_or_a_channel",
                condition=Q(person__isnull=False, channel=None) | Q(person=None, channel__isnull=False),
            ),
            one_of("sink", Sink, name="notice_sink_is_known"),
            one_of("state", NoticeState, name="notice_state_is_known"),
            one_of("topic", Topic, name="notice_topic_is_known"),
        )
        indexes = (
            models.Index(fields=("due_at",), name="notice_pending", condition=Q(state=NoticeState.PENDING)),
            models.Index(fields=("person", "told_at"), name="notice_of_person"),
        )

    def __str__(self) -> str:
        return self.key

    @property
    def addressee(self) -> str:
        """Return who gets it, as the rules name them."""
        return f"channel:{self.channel_id}" if self.channel_id else f"person:{self.person_id}"
