"""Writes: people and their accounts, roles, teams, machines."""

from releases.accounts.services.people import (
    add_account,
    admit_person,
    bootstrap,
    deactivate,
    reactivate,
    register_person,
    rename_person,
)
from releases.accounts.services.roles import grant, require, revoke
from releases.accounts.services.teams import (
    describe_team,
    join_team,
    leave_team,
    register_team,
    remove_team,
    team_for,
)
from releases.accounts.services.tokens import describe_machine, issue_token, revoke_token, rotate_token, use_token
from releases.accounts.services.ways_in import close_account, reopen_account, set_password

__all__ = [
    "add_account",
    "admit_person",
    "bootstrap",
    "close_account",
    "deactivate",
    "describe_machine",
    "describe_team",
    "grant",
    "issue_token",
    "join_team",
    "leave_team",
    "reactivate",
    "register_person",
    "register_team",
    "remove_team",
    "rename_person",
    "reopen_account",
    "require",
    "revoke",
    "revoke_token",
    "rotate_token",
    "set_password",
    "team_for",
    "use_token",
]
