"""An edge may have been read in Backstage or in a CSV file."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Widen the sources of an edge by two."""

    dependencies = [
        ("releases", "0004_a_second_person_is_paged"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="dependency",
            name="dependency_source_is_known",
        ),
        migrations.AddConstraint(
            model_name="dependency",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("source__in", ["manual", "environment", "config", "shared_config", "backstage", "csv"])
                ),
                name="dependency_source_is_known",
            ),
        ),
    ]
