"""The roles and what each of them may do, on one screen."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from releases.accounts.rights import Right


class Role(StrEnum):
    """What a person is here; a seat is a role in the committee."""

    OWNER = "owner"
    ENGINEER = "engineer"
    RELEASE_MANAGER = "release_manager"
    ON_CALL = "on_call"
    AUDITOR = "auditor"
    SEAT_ENGINEERING = "seat_engineering"
    SEAT_SECURITY = "seat_security"
    SEAT_BUSINESS = "seat_business"
    SEAT_OPERATIONS = "seat_operations"

    @property
    def is_seat(self) -> bool:
        """Say whether this role is a seat of the committee."""
        return self.value.startswith("seat_")


_SEAT = frozenset({Right.CHANGE_READ, Right.CHANGE_VOTE})

# An owner may set up everything and decides nothing: votes come from seats, releases from those who release.
ROLE_RIGHTS: Mapping[Role, frozenset[Right]] = MappingProxyType(
    {
        Role.OWNER: frozenset(
            {Right.AUDIT_READ, Right.CATALOG_EDIT, Right.CHANGE_READ, Right.PEOPLE_EDIT, Right.POLICY_EDIT}
        ),
        Role.ENGINEER: frozenset({Right.CHANGE_FILE, Right.CHANGE_READ, Right.CHANGE_RELEASE}),
        Role.RELEASE_MANAGER: frozenset(
            {
                Right.AUDIT_READ,
                Right.CATALOG_EDIT,
                Right.CHANGE_FILE,
                Right.CHANGE_READ,
                Right.CHANGE_RELEASE,
                Right.FREEZE_SET,
                Right.POLICY_EDIT,
                Right.QUARANTINE_CLEAR,
                Right.ROLLBACK_BEGIN,
            }
        ),
        Role.ON_CALL: frozenset({Right.CHANGE_READ, Right.FREEZE_SET, Right.ROLLBACK_BEGIN}),
        Role.AUDITOR: frozenset({Right.AUDIT_READ, Right.CHANGE_READ}),
        Role.SEAT_ENGINEERING: _SEAT,
        Role.SEAT_SECURITY: _SEAT,
        Role.SEAT_BUSINESS: _SEAT,
        Role.SEAT_OPERATIONS: _SEAT,
    }
)

# What no token may ever carry: a vote is a person's act, and whoever edits people decides who may vote.
NEVER_FOR_MACHINES = frozenset({Right.CHANGE_VOTE, Right.PEOPLE_EDIT, Right.POLICY_EDIT, Right.SYSTEM_ACT})


def rights_of_roles(roles: frozenset[Role]) -> frozenset[Right]:
    """Return everything these roles may do together."""
    return frozenset().union(*(ROLE_RIGHTS[role] for role in roles))


def roles_with(right: Right) -> tuple[Role, ...]:
    """Return the roles that carry the right, in the order of the table."""
    return tuple(role for role, rights in ROLE_RIGHTS.items() if right in rights)
