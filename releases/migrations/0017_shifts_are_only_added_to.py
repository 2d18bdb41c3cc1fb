"""How a shift ended moves into rows of its own, so that nothing written about a shift changes any more.

What was seen and what drifted get their tables, too. The triggers on the ledger are those of the record.
"""

from datetime import datetime

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import releases.core.ids
from releases.audit import guards
from releases.traffic import ledger

TOPICS = (
    *("approved", "callback_failed", "changes_requested", "credential_ends", "drift", "freeze", "message_dead"),
    *("needs_human", "quarantined", "rejected", "review_due", "review_overdue", "rollback_asked", "rollback_begun"),
    *("rollback_failed", "rolled_back", "sink_failed", "test", "verdict_bad", "vote_needed", "window_soon"),
    "witness_inconsistent",
)


def copy_ends(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Give every shift that had ended its end; nobody wrote down when, unless it was confirmed."""
    shifts, ends = apps.get_model("releases", "Shift"), apps.get_model("releases", "ShiftEnd")
    for shift in shifts.objects.exclude(state="asked").iterator():
        at: datetime = shift.confirmed_at or shift.asked_at
        ends.objects.create(
            shift=shift,
            turn=1,
            state=shift.state,
            after=shift.observed,
            counted={name: weight for name, weight in shift.observed.items() if weight is not None},
            revision=shift.version,
            verification=shift.verification,
            audit_id=shift.audit_id,
            detail=shift.detail,
            ended_at=at,
        )
    if editor.connection.vendor == "postgresql":  # what still waits to be checked keeps a table from being altered
        editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def copy_back(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Write the last end of every shift back into its row."""
    shifts, ends = apps.get_model("releases", "Shift"), apps.get_model("releases", "ShiftEnd")
    for end in ends.objects.order_by("turn").iterator():
        shifts.objects.filter(pk=end.shift_id).update(
            state=end.state,
            observed=end.after,
            version=end.revision[:64],
            verification=end.verification,
            audit_id=end.audit_id,
            detail=end.detail,
            confirmed_at=end.ended_at if end.state == "confirmed" else None,
        )


def lift(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Put the triggers in place."""
    with editor.connection.cursor() as cursor:
        guards.lift(cursor, editor.connection.vendor, ledger.KEYS)


def lower(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away."""
    with editor.connection.cursor() as cursor:
        guards.lower(cursor, editor.connection.vendor, ledger.KEYS)


class Migration(migrations.Migration):
    """Ends first, then the copy, then the columns go, then nothing changes any more."""

    dependencies = [("releases", "0016_steps_wait_for_one_another_and_for_a_place")]

    operations = [
        migrations.CreateModel(
            name="ShiftEnd",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("turn", models.PositiveSmallIntegerField()),
                ("state", models.CharField(max_length=16)),
                ("after", models.JSONField(default=dict)),
                ("counted", models.JSONField(default=dict)),
                ("revision", models.CharField(blank=True, max_length=80)),
                ("uid", models.CharField(blank=True, max_length=400)),
                ("fingerprint", models.CharField(blank=True, max_length=80)),
                ("verification", models.CharField(blank=True, max_length=16)),
                ("audit_id", models.CharField(blank=True, max_length=64)),
                ("detail", models.JSONField(blank=True, default=dict)),
                ("ended_at", models.DateTimeField()),
                (
                    "shift",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="ends", to="releases.shift"
                    ),
                ),
            ],
            options={
                "ordering": ("shift", "turn"),
                "constraints": [
                    models.UniqueConstraint(fields=("shift", "turn"), name="shift_ends_in_turns"),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "confirmed")), fields=("shift",), name="shift_confirmed_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["confirmed", "failed", "needs_human", "superseded"])),
                        name="shift_end_is_known",
                    ),
                ],
            },
        ),
        migrations.RunPython(copy_ends, copy_back),
        migrations.RemoveConstraint(model_name="shift", name="shift_state_is_known"),
        migrations.RemoveConstraint(model_name="shift", name="shift_confirmed_with_a_moment"),
        migrations.RemoveField(model_name="shift", name="audit_id"),
        migrations.RemoveField(model_name="shift", name="confirmed_at"),
        migrations.RemoveField(model_name="shift", name="detail"),
        migrations.RemoveField(model_name="shift", name="observed"),
        migrations.RemoveField(model_name="shift", name="state"),
        migrations.RemoveField(model_name="shift", name="verification"),
        migrations.RemoveField(model_name="shift", name="version"),
        migrations.AddField(model_name="shift", name="object", field=models.JSONField(default=dict)),
        migrations.AddField(model_name="shift", name="operation_id", field=models.UUIDField(blank=True, null=True)),
        migrations.AddField(model_name="shift", name="request", field=models.CharField(blank=True, max_length=64)),
        migrations.AddField(model_name="shift", name="revision", field=models.CharField(blank=True, max_length=80)),
        migrations.RunPython(lift, lower),
        migrations.CreateModel(
            name="Observation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("weights", models.JSONField(default=dict)),
                ("revision", models.CharField(blank=True, max_length=80)),
                ("uid", models.CharField(blank=True, max_length=400)),
                ("owner", models.CharField(blank=True, max_length=64)),
                ("writer", models.CharField(blank=True, max_length=200)),
                ("written_at", models.DateTimeField(blank=True, null=True)),
                ("why", models.JSONField(blank=True, default=dict)),
                ("seen_by", models.CharField(max_length=200)),
                ("seen_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("looks", models.PositiveIntegerField(default=1)),
                (
                    "route",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="observations", to="releases.route"
                    ),
                ),
            ],
            options={
                "ordering": ("route", "last_at", "id"),
                "indexes": [models.Index(fields=["route", "last_at"], name="observation_by_route")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("last_at__gte", models.F("seen_at"))),
                        name="observation_ends_after_it_begins",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Drift",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("observed", models.JSONField(default=dict)),
                ("owner", models.CharField(blank=True, max_length=64)),
                ("consequence", models.JSONField(blank=True, default=dict)),
                ("writer", models.CharField(blank=True, max_length=200)),
                ("written_at", models.DateTimeField(blank=True, null=True)),
                ("raised_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "route",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="drifts", to="releases.route"
                    ),
                ),
                (
                    "shift",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="drifts", to="releases.shift"
                    ),
                ),
            ],
            options={
                "ordering": ("raised_at", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)), fields=("route",), name="drift_one_open"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at", None), ("ended_at__gte", models.F("raised_at")), _connector="OR"
                        ),
                        name="drift_ends_after_it_begins",
                    ),
                ],
            },
        ),
        migrations.RemoveConstraint(model_name="notice", name="notice_topic_is_known"),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.CheckConstraint(
                condition=models.Q(("topic__in", list(TOPICS))), name="notice_topic_is_known"
            ),
        ),
    ]
