"""Tables of the gate: every decision, every permit, and the idempotency keys of those who ask."""

from django.db import models
from django.db.models import F, Q

from releases.changes.models import ChangeRequest
from releases.core.ids import uuid7
from releases.gate.states import CallbackState, Intent, Verdict

LONGEST_URL = 500


class GateDecision(models.Model):
    """One answer of the gate, whatever it was."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    service = models.CharField(max_length=120)
    environment = models.CharField(max_length=120)
    artifact_name = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=71)
    intent = models.CharField(max_length=16)
    run = models.JSONField(default=dict)
    change = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, null=True, related_name="gate_decisions")
    content_digest = models.CharField(max_length=71, blank=True)
    verdict = models.CharField(max_length=8)
    reasons = models.JSONField(default=list)
    passed = models.JSONField(default=list)
    valid_until = models.DateTimeField(null=True)
    retry_after_seconds = models.PositiveIntegerField(null=True)
    asked_by = models.CharField(max_length=200)
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(verdict__in=list(Verdict)), name="gate_verdict_is_known"),
            models.CheckConstraint(condition=Q(intent__in=list(Intent)), name="gate_intent_is_known"),
        ]
        indexes = [models.Index(fields=["-decided_at"], name="gate_newest_first")]

    def __str__(self) -> str:
        return f"{self.verdict}: {self.intent} {self.service} to {self.environment}"


class Permit(models.Model):
    """What stands behind an allow: good once, for one artifact in one place, for minutes."""

    jti = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    decision = models.OneToOneField(GateDecision, on_delete=models.PROTECT, related_name="permit")
    change = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="permits")
    kid = models.CharField(max_length=40)
    public_key = models.CharField(max_length=43, blank=True)  # of the one-time key that signed it, if one did
    run = models.CharField(max_length=300, blank=True)
    fuse = models.CharField(max_length=80, blank=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True)
    redeemed_by = models.CharField(max_length=300, blank=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("issued_at")), name="permit_lives"),
            # However often a start is sent, each time with a permit of its own: one of them deploys.
            models.UniqueConstraint(
                fields=["fuse"], condition=Q(redeemed_at__isnull=False) & ~Q(fuse=""), name="permit_one_per_fuse"
            ),
            models.CheckConstraint(
                condition=Q(redeemed_at__isnull=True, redeemed_by="")
                | Q(redeemed_at__isnull=False) & ~Q(redeemed_by=""),
                name="permit_redeemed_by_a_run",
            ),
        ]

    def __str__(self) -> str:
        return str(self.jti)


class Callback(models.Model):
    """Where to tell somebody who was told to wait, once, that the answer to their question is another one now.

    The same question asked again for the same address is one call: it names the latest decision. ``url`` may hold a
    secret in its path, so it is empty once the call has ended, and no event ever says more of it than the host.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    decision = models.OneToOneField(GateDecision, on_delete=models.PROTECT, related_name="callback")
    change = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="callbacks")
    url = models.CharField(max_length=LONGEST_URL, blank=True)
    question = models.CharField(max_length=71)
    asked_change = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=16, default=CallbackState.WAITING)
    look_at = models.DateTimeField()
    verdict = models.CharField(max_length=8, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    ended_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=list(CallbackState)), name="callback_state_is_known"),
            models.UniqueConstraint(
                fields=["question", "url"], condition=Q(state=CallbackState.WAITING), name="callback_once_per_question"
            ),
            models.CheckConstraint(
                condition=Q(state=CallbackState.WAITING, verdict="")
                | ~Q(state=CallbackState.WAITING) & Q(verdict__in=[Verdict.ALLOW, Verdict.DENY]),
                name="callback_waits_or_knows",
            ),
        ]
        indexes = [
            models.Index(fields=["look_at"], name="callback_due", condition=Q(state=CallbackState.WAITING)),
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.decision_id}"


class IdempotencyKey(models.Model):
    """The key a caller gave, so that asking twice is answered once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    principal = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=71)
    decision = models.ForeignKey(GateDecision, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "key"], name="idempotency_key_is_unique")]

    def __str__(self) -> str:
        return self.key
