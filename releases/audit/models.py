"""Tables of the record. Nothing here is ever changed; triggers of migration 0002 and ``verify`` see to it."""

from django.db import models

from releases.audit.columns import number_of, text_of

HASH_CHARACTERS = 64


class AuditEvent(models.Model):
    """One thing that happened: ``body`` is the exact canonical text that is hashed, the columns are read from it."""

    event_id = models.UUIDField(primary_key=True, editable=False)
    body = models.TextField()
    stream = text_of("stream", length=200)
    stream_version = number_of("stream_version")
    kind = text_of("kind", length=64)
    actor_id = text_of("actor.id")
    occurred_us = number_of("occurred_us", big=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "stream_version"], name="audit_stream_is_a_chain")]
        indexes = [models.Index(fields=["occurred_us"], name="audit_by_time")]

    def __str__(self) -> str:
        return f"{self.stream} {self.stream_version} {self.kind}"


class AuditText(models.Model):
    """Free text of an event, beside it: the body holds a salted commitment, so this can be erased."""

    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="texts", db_constraint=False)
    field = models.CharField(max_length=64)
    salt = models.CharField(max_length=64)
    body = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "field"], name="audit_text_once")]

    def __str__(self) -> str:
        return f"{self.event_id} {self.field}"


class Leaf(models.Model):
    """The place of an event in the one Merkle tree."""

    tree_index = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    leaf_hash = models.CharField(max_length=HASH_CHARACTERS)

    def __str__(self) -> str:
        return f"{self.tree_index} {self.leaf_hash[:12]}"


class Checkpoint(models.Model):
    """A signed statement of the tree's size and root (C2SP note)."""

    tree_size = models.BigIntegerField(primary_key=True)
    root_hash = models.CharField(max_length=HASH_CHARACTERS)
    note = models.TextField()

    def __str__(self) -> str:
        return f"{self.tree_size} {self.root_hash[:12]}"
