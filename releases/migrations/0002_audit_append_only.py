"""Append-only triggers on the record: UPDATE, DELETE, TRUNCATE on PostgreSQL; UPDATE, DELETE and replacing INSERT on SQLite."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = {
    "releases_auditevent": "event_id",
    "releases_leaf": "tree_index",
    "releases_checkpoint": "tree_size",
}


def forbid(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers."""
    for statement in statements(editor.connection.vendor):
        editor.execute(statement, params=None)


def allow(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    for table in TABLES:
        if editor.connection.vendor == "postgresql":
            editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}", params=None)
            editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_truncate ON {table}", params=None)
        else:
            for verb in ("update", "delete", "insert"):
                editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}", params=None)


def statements(vendor: str) -> list[str]:
    """Return what makes the triggers, in order."""
    if vendor == "postgresql":
        made = [
            "CREATE OR REPLACE FUNCTION gmud_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP "
            "USING ERRCODE = 'insufficient_privilege'; END $$"
        ]
        for table in TABLES:
            made += [
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION gmud_append_only()",
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION gmud_append_only()",
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only",
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
            ]
        return made
    made = []
    for table, key in TABLES.items():
        made += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: UPDATE refused'); END",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: DELETE refused'); END",
            f"CREATE TRIGGER {table}_no_insert BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: the row is there already'); END",
        ]
    return made


class Migration(migrations.Migration):
    """Runs after the tables are there."""

    dependencies = [("releases", "0001_initial")]
    operations = [migrations.RunPython(forbid, allow)]
