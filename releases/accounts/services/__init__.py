"""Writes: people and their accounts, roles, teams, machines."""

from releases.accounts.services.factors import (
    add_app,
    add_passkey,
    fresh,
    note_use,
    remove_factor,
    renew_codes,
    reseal_factors,
    reset_factors,
)
from releases.accounts.services.identities import account_of, admit, follow_groups, link_identity, unlink_identity
from releases.accounts.services.passwords import change_password, choose_language
from releases.accounts.services.people import (
    add_account,
    admit_person,
    bootstrap,
    deactivate,
    reactivate,
    register_person,
    rename_person,
)
from releases.accounts.services.proving import begin_attempt, forget_attempt, prove_code, prove_password, refuse
from releases.accounts.services.roles import grant, require, revoke
from releases.accounts.services.sessions import (
    begin_session,
    end_session,
    end_sessions,
    move_session,
    see_session,
    sign_out,
)
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
    "account_of",
    "add_account",
    "add_app",
    "add_passkey",
    "admit",
    "admit_person",
    "begin_attempt",
    "begin_session",
    "bootstrap",
    "change_password",
    "choose_language",
    "close_account",
    "deactivate",
    "describe_machine",
    "describe_team",
    "end_session",
    "end_sessions",
    "follow_groups",
    "forget_attempt",
    "fresh",
    "grant",
    "issue_token",
    "join_team",
    "leave_team",
    "link_identity",
    "move_session",
    "note_use",
    "prove_code",
    "prove_password",
    "reactivate",
    "refuse",
    "register_person",
    "register_team",
    "remove_factor",
    "remove_team",
    "rename_person",
    "renew_codes",
    "reopen_account",
    "require",
    "reseal_factors",
    "reset_factors",
    "revoke",
    "revoke_token",
    "rotate_token",
    "see_session",
    "set_password",
    "sign_out",
    "team_for",
    "unlink_identity",
    "use_token",
]
