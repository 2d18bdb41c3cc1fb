"""Customers ask for freezes and are told of changes; the error budget of a service is read and kept."""

import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

import releases.core.ids


class Migration(migrations.Migration):
    """Add two tables, a further purpose of a binding, and whom a freeze is for."""

    dependencies = [
        ("releases", "0005_imports_say_where_they_read"),
    ]

    operations = [
        migrations.CreateModel(
            name="BudgetReading",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("left", models.FloatField()),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("binding",),
            },
        ),
        migrations.CreateModel(
            name="CustomerNotice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=releases.core.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("told_digest", models.CharField(max_length=71)),
                ("told_at", models.DateTimeField()),
                ("told_by", models.CharField(max_length=120)),
                ("evidence", models.CharField(max_length=300)),
                ("recorded_by", models.CharField(max_length=120)),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["told_at", "id"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="binding",
            name="binding_purpose_is_known",
        ),
        migrations.AddField(
            model_name="window",
            name="customer",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="windows",
                to="releases.customer",
            ),
        ),
        migrations.AddField(
            model_name="window",
            name="segment",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AlterField(
            model_name="window",
            name="environment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="windows",
                to="releases.environment",
            ),
        ),
        migrations.AddConstraint(
            model_name="binding",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["deploy", "traffic", "health", "budget"])),
                name="binding_purpose_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="window",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("customer", None), ("environment__isnull", False), ("segment", "")),
                    models.Q(
                        ("customer__isnull", False),
                        ("environment", None),
                        ("kind", "freeze"),
                        ("segment", ""),
                        ("service", None),
                    ),
                    models.Q(
                        ("customer", None),
                        ("environment", None),
                        ("kind", "freeze"),
                        ("service", None),
                        models.Q(("segment", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="window_of_a_place_or_a_customer",
            ),
        ),
        migrations.AddField(
            model_name="budgetreading",
            name="binding",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="budget", to="releases.binding"
            ),
        ),
        migrations.AddField(
            model_name="customernotice",
            name="change",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="customer_notices",
                to="releases.changerequest",
            ),
        ),
        migrations.AddField(
            model_name="customernotice",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="notices", to="releases.customer"
            ),
        ),
        migrations.AddConstraint(
            model_name="customernotice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    django.db.models.lookups.Exact(
                        django.db.models.functions.text.Length("told_digest"), models.Value(71)
                    ),
                    django.db.models.lookups.Exact(
                        django.db.models.functions.text.Substr("told_digest", 1, 7), models.Value("sha256:")
                    ),
                    django.db.models.lookups.Exact(
                        models.Func(
                            django.db.models.functions.text.Substr("told_digest", 8),
                            models.Value("abcdef0123456789"),
                            function="LTRIM",
                            output_field=models.TextField(),
                        ),
                        models.Value(""),
                    ),
                ),
                name="customer_notice_digest_is_sha256",
            ),
        ),
        migrations.AddConstraint(
            model_name="customernotice",
            constraint=models.CheckConstraint(
                condition=models.Q(("evidence", ""), _negated=True), name="customer_notice_has_evidence"
            ),
        ),
        migrations.AddConstraint(
            model_name="customernotice",
            constraint=models.CheckConstraint(
                condition=models.Q(("told_at__lte", models.F("recorded_at"))),
                name="customer_notice_told_before_recorded",
            ),
        ),
    ]
