"""The record only ever grows: triggers on its tables, for SQLite and PostgreSQL."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from releases.audit import guards


def lift(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Put the triggers in place."""
    with editor.connection.cursor() as cursor:
        guards.lift(cursor, editor.connection.vendor)


def lower(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take the triggers away."""
    with editor.connection.cursor() as cursor:
        guards.lower(cursor, editor.connection.vendor)


class Migration(migrations.Migration):
    """Runs after the tables are there."""

    dependencies = [("releases", "0001_initial")]
    operations = [migrations.RunPython(lift, lower)]
