"""Writes: what exists, who calls whom, artifacts, connections, what runs where, incidents.

Most open a transaction of their own and refuse to be called inside another. Those that the importer or the rooms above
join into theirs (their docstrings say so) open a savepoint there, and a transaction when there is none.
"""

from releases.catalog.services.artifacts import clear_quarantine, quarantine, register_artifact
from releases.catalog.services.bindings import (
    bind,
    describe_route,
    note_budget,
    note_reading,
    rebind,
    register_route,
    remove_route,
    unbind,
)
from releases.catalog.services.connections import connect, disconnect, note_check, reconnect, reseal_secrets
from releases.catalog.services.editing import (
    describe_customer,
    describe_environment,
    reinstate,
    remove_customer,
    remove_environment,
    remove_service,
    unlink,
)
from releases.catalog.services.graph import confirm_dependency, deny_dependency, link
from releases.catalog.services.hints import close_hints, hint_secret_of, open_hints
from releases.catalog.services.running import close_incident, note_running, open_incident
from releases.catalog.services.things import (
    describe_service,
    register_customer,
    register_environment,
    register_service,
    retire,
)

__all__ = [
    "bind",
    "clear_quarantine",
    "close_hints",
    "close_incident",
    "confirm_dependency",
    "connect",
    "deny_dependency",
    "describe_customer",
    "describe_environment",
    "describe_route",
    "describe_service",
    "disconnect",
    "hint_secret_of",
    "link",
    "note_budget",
    "note_check",
    "note_reading",
    "note_running",
    "open_hints",
    "open_incident",
    "quarantine",
    "rebind",
    "reconnect",
    "register_artifact",
    "register_customer",
    "register_environment",
    "register_route",
    "register_service",
    "reinstate",
    "remove_customer",
    "remove_environment",
    "remove_route",
    "remove_service",
    "reseal_secrets",
    "retire",
    "unbind",
    "unlink",
]
