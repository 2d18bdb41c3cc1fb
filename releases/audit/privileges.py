"""What the role we connect with could do to the record: on PostgreSQL it must be able to add, and nothing more.

Triggers are a seat-belt that an owner can take off; a role that owns nothing cannot. The roles are made by
``deploy/sql/roles.sql``, and ``guards.lift`` takes from everybody but the owner what would rewrite the tables.
"""

from collections.abc import Iterator, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

from releases.audit.guards import KEYS, rewriting

# Whoever is a member of these writes files or runs programs beside the tables, and becomes whatever they want.
MIGHTY = ("pg_execute_server_program", "pg_write_server_files")

_MYSELF = "SELECT rolname FROM pg_roles WHERE rolname IN (current_user, session_user) AND rolsuper ORDER BY rolname"
_ROLES = """
SELECT role.rolname, role.rolsuper, role.rolcreaterole, role.rolname = ANY(%s) FROM pg_roles AS role
WHERE pg_has_role(current_user, role.oid, 'MEMBER') OR pg_has_role(session_user, role.oid, 'MEMBER')
ORDER BY role.rolname"""
_TABLES = """
SELECT class.relname, role.rolname, class.relowner = role.oid, ARRAY(
  SELECT verb FROM unnest(ARRAY['DELETE', 'TRIGGER', 'TRUNCATE']) AS verb
    WHERE has_table_privilege(role.oid, class.oid, verb)
  UNION SELECT 'UPDATE' WHERE has_any_column_privilege(role.oid, class.oid, 'UPDATE'))
FROM pg_roles AS role, pg_class AS class
WHERE (pg_has_role(current_user, role.oid, 'MEMBER') OR pg_has_role(session_user, role.oid, 'MEMBER'))
  AND class.oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
ORDER BY class.relname, role.rolname"""
_FUNCTION = """
SELECT role.rolname FROM pg_proc AS function JOIN pg_roles AS role ON role.oid = function.proowner
WHERE function.oid = to_regproc('audit_forbid')
  AND (pg_has_role(current_user, role.oid, 'MEMBER') OR pg_has_role(session_user, role.oid, 'MEMBER'))"""


def excessive(connection: BaseDatabaseWrapper) -> list[str]:
    """Return, in words, what lets this role, or one that it can take on, rewrite the record; PostgreSQL only."""
    with connection.cursor() as cursor:
        cursor.execute(_MYSELF)
        if found := cursor.fetchall():  # who is a superuser is a member of every role: nothing more to say
            return [f"{name} is a superuser" for (name,) in found]
        cursor.execute(_ROLES, [list(MIGHTY)])
        mighty = dict(_mighty(cursor.fetchall()))
        cursor.execute(_TABLES, [list(KEYS)])
        lesser = list(_lesser(cursor.fetchall(), mighty))
        cursor.execute(_FUNCTION)
        owners = [f"{name} owns the function audit_forbid" for (name,) in cursor.fetchall()]
    return [*mighty.values(), *lesser, *owners]


def _mighty(roles: list[tuple[str, bool, bool, bool]]) -> Iterator[tuple[str, str]]:
    for name, is_superuser, makes_roles, is_mighty in roles:
        if is_superuser:
            yield name, f"it can become {name}, a superuser"
        elif makes_roles:
            yield name, f"{name} may make roles, and so become the owner"
        elif is_mighty:
            yield name, f"it is a member of {name}"


def _lesser(tables: list[tuple[str, str, bool, list[str]]], mighty: Mapping[str, str]) -> Iterator[str]:
    for table, name, owns, verbs in tables:
        beyond = sorted(set(verbs) & set(rewriting(table)))
        if name in mighty:
            continue
        if owns:
            yield f"{name} owns {table}"
        elif beyond:
            yield f"{name} may {', '.join(beyond)} on {table}"
