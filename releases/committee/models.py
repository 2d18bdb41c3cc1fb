"""Tables of who decides: the policy in force and those before it, rounds, votes and delegations."""

import json
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from releases.accounts.columns import digest_check, one_of
from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.committee.seats import Decision, RoundOutcome
from releases.core.ids import uuid7


class Policy(models.Model):
    """Who must decide what; ``rules`` is the exact canonical text that ``digest`` names.

    There is no second copy of the seats in columns: what could be edited beside the digest would not be bound by it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    version = models.PositiveIntegerField(unique=True)
    rules = models.TextField()
    digest = models.CharField(max_length=71)
    based_on = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_current = models.BooleanField(default=False)
    created_by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    in_force_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-version",)
        verbose_name_plural = "policies"
        constraints = (
            models.UniqueConstraint(fields=("is_current",), condition=Q(is_current=True), name="policy_one_current"),
            models.CheckConstraint(
                name="policy_current_is_in_force", condition=Q(is_current=False) | Q(in_force_at__isnull=False)
            ),
            digest_check("digest", name="policy_digest_is_sha256"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def stream(self) -> str:
        """Return the audit stream of this policy."""
        return f"policy:{self.pk}"

    @property
    def document(self) -> list[dict[str, Any]]:
        """Return the rules as they were saved."""
        loaded: list[dict[str, Any]] = json.loads(self.rules)
        return loaded


class Round(models.Model):
    """One call for votes on exactly one content; at most one is open per subject."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.UUIDField()
    content_digest = models.CharField(max_length=71)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="rounds")
    needed = models.JSONField(default=dict)
    excluded = models.JSONField(default=dict)
    is_pre_approved = models.BooleanField(default=False)
    fresh_sign_in_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    second_factor = models.BooleanField(default=False)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("subject",), condition=Q(closed_at=None), name="round_one_open_per_subject"
            ),
            models.CheckConstraint(
                name="round_closed_with_outcome",
                condition=Q(closed_at=None, outcome="")
                | Q(closed_at__isnull=False, outcome__in=[one.value for one in RoundOutcome]),
            ),
            # Asking nobody is said, never the result of an empty column.
            models.CheckConstraint(
                name="round_asks_or_is_pre_approved",
                condition=Q(is_pre_approved=True, needed={}) | (Q(is_pre_approved=False) & ~Q(needed={})),
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} {self.content_digest[:19]}"

    @property
    def fresh_sign_in(self) -> bool:
        """Say whether a voter must have signed in just now."""
        return self.fresh_sign_in_minutes is not None

    @property
    def relations(self) -> dict[UUID, str]:
        """Return who may not vote, each with how they took part."""
        return {UUID(person): relation for person, relation in self.excluded.items()}


class Vote(models.Model):
    """One person's decision on one content; a person has one, whatever accounts, seats or delegations."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    round = models.ForeignKey(Round, on_delete=models.PROTECT, related_name="votes")
    subject = models.UUIDField()
    content_digest = models.CharField(max_length=71)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="votes")
    for_person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    account = models.CharField(max_length=120, blank=True)
    seat = models.CharField(max_length=32)
    decision = models.CharField(max_length=16)
    reason = models.TextField(blank=True)
    signed_in_at = models.DateTimeField(null=True, blank=True)
    cast_at = models.DateTimeField()

    class Meta:
        ordering = ("cast_at", "id")
        constraints = (
            models.UniqueConstraint(fields=("subject", "content_digest", "person"), name="vote_once_per_person"),
            models.CheckConstraint(name="vote_not_for_oneself", condition=~Q(for_person=F("person"))),
            one_of("decision", Decision, name="vote_decision_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.person_id} {self.decision}"


class Delegation(models.Model):
    """One person lends one seat to another for a while; who received it cannot pass it on."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    from_person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegations_given")
    to_person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegations_received")
    seat = models.CharField(max_length=32)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    delegated_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("starts_at", "id")
        constraints = (
            models.CheckConstraint(name="delegation_to_another", condition=~Q(from_person=F("to_person"))),
            models.CheckConstraint(name="delegation_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="delegation_of_a_seat", condition=Q(seat__in=[role.value for role in Role if role.is_seat])
            ),
        )

    def __str__(self) -> str:
        return f"{self.from_person_id} → {self.to_person_id} {self.seat}"

    @property
    def stream(self) -> str:
        """Return the audit stream of whose seat it is."""
        return f"person:{self.from_person_id}"
