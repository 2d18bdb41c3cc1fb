"""A connection may lead to Kong or APISIX."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Widen the kinds of connections by two."""

    dependencies = [
        ("releases", "0008_when_customers_could_be_told"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="connection",
            name="connection_kind_is_known",
        ),
        migrations.AddConstraint(
            model_name="connection",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["jenkins", "kubernetes", "prometheus", "http", "kong", "apisix"])),
                name="connection_kind_is_known",
            ),
        ),
    ]
