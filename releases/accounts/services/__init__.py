"""Writes: people and their accounts, roles, teams, machines."""

from releases.accounts.services.people import add_account, bootstrap, deactivate, register_person
from releases.accounts.services.roles import grant, require, revoke
from releases.accounts.services.teams import join_team, register_team, team_for
from releases.accounts.services.tokens import issue_token, revoke_token, use_token

__all__ = [
    "add_account",
    "bootstrap",
    "deactivate",
    "grant",
    "issue_token",
    "join_team",
    "register_person",
    "register_team",
    "require",
    "revoke",
    "revoke_token",
    "team_for",
    "use_token",
]
