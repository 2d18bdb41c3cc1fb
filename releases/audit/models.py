"""Tables of the record. Events, leaves and checkpoints only ever grow: migration 0002 puts the guards.

``LastLook`` is beside the record: what whoever held it against its seals and its witness found last.
"""

from django.db import models

from releases.audit.columns import part


class Looker(models.TextChoices):
    """Who holds the record against its seals and its witness."""

    SEALER = "sealer"
    VERIFICATION = "verification"


class AuditEvent(models.Model):
    """One thing that happened. ``body`` is the exact text that was hashed; every other column follows from it."""

    leaf_hash = models.CharField(max_length=64, primary_key=True, editable=False)
    body = models.TextField()
    event_id = part("event_id", models.UUIDField())
    stream = part("stream", models.CharField(max_length=200))
    stream_version = part("stream_version", models.BigIntegerField())
    kind = part("kind", models.CharField(max_length=64))
    actor_kind = part("actor.kind", models.CharField(max_length=16))
    actor_id = part("actor.id", models.CharField(max_length=200))
    operation = part("operation", models.CharField(max_length=200))
    occurred_us = part("occurred_us", models.BigIntegerField())

    class Meta:
        db_table = "audit_event"
        constraints = (
            models.UniqueConstraint(fields=["event_id"], name="audit_event_once"),
            models.UniqueConstraint(fields=["stream", "stream_version"], name="audit_stream_has_one_order"),
        )
        indexes = (
            models.Index(fields=["kind", "occurred_us"], name="audit_by_kind"),
            models.Index(fields=["actor_id", "occurred_us"], name="audit_by_actor"),
            models.Index(fields=["occurred_us"], name="audit_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.stream} #{self.stream_version} {self.kind}"


class AuditText(models.Model):
    """Free text beside its event, which keeps a salted commitment of it: can be erased, cannot be changed."""

    pk = models.CompositePrimaryKey("event_id", "field")
    event_id = models.UUIDField()
    field = models.CharField(max_length=64)
    salt = models.CharField(max_length=64)
    body = models.TextField(blank=True)

    class Meta:
        db_table = "audit_text"

    def __str__(self) -> str:
        return f"{self.field} of {self.event_id}"


class Unsealed(models.Model):
    """An event that waits for its leaf: the sealer's work list, emptied every second. Holds nothing of value."""

    event_id = models.UUIDField(primary_key=True)

    class Meta:
        db_table = "audit_unsealed"

    def __str__(self) -> str:
        return str(self.event_id)


class Leaf(models.Model):
    """The dense place of an event in the Merkle tree over everything that happened."""

    tree_index = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    leaf_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "audit_leaf"

    def __str__(self) -> str:
        return f"leaf {self.tree_index}"


class Checkpoint(models.Model):
    """The signed root of the tree at one size. Every column follows from ``note``, which is what was signed."""

    pk = models.CompositePrimaryKey("epoch", "tree_size")
    epoch = models.IntegerField()
    tree_size = models.BigIntegerField()
    root = models.CharField(max_length=64)
    note = models.TextField()

    class Meta:
        db_table = "audit_checkpoint"

    def __str__(self) -> str:
        return f"checkpoint of {self.tree_size}"


class LastLook(models.Model):
    """What somebody found who looked: nothing (``since_us`` is null), or since when the record contradicts itself."""

    by = models.CharField(max_length=16, primary_key=True, choices=Looker.choices)
    looked_us = models.BigIntegerField()
    since_us = models.BigIntegerField(null=True)
    what = models.JSONField(default=dict)

    class Meta:
        db_table = "audit_last_look"

    def __str__(self) -> str:
        return f"last look by the {self.by}"
