"""Who chose that a route is shifted although Git or a chart holds it; the end of a shift keeps the choice."""

import django.db.models.deletion
from django.db import migrations, models

import releases.core.ids


class Migration(migrations.Migration):
    """The column may be empty, so that SQLite adds it without making the table anew: its triggers stay."""

    dependencies = [("releases", "0017_shifts_are_only_added_to")]

    operations = [
        migrations.AddField(model_name="shiftend", name="choice", field=models.JSONField(blank=True, null=True)),
        migrations.CreateModel(
            name="OwnerChoice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("change_id", models.UUIDField()),
                ("owner", models.CharField(max_length=64)),
                ("choice", models.CharField(max_length=16)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("chosen_by", models.CharField(max_length=200)),
                ("chosen_at", models.DateTimeField()),
                (
                    "route",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="choices", to="releases.route"
                    ),
                ),
            ],
            options={
                "ordering": ("chosen_at", "id"),
                "indexes": [models.Index(fields=["change_id", "route"], name="choice_by_change_and_route")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("choice__in", ["git", "go_on"])), name="owner_choice_is_known"
                    )
                ],
            },
        ),
    ]
