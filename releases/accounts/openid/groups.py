"""Groups a provider names, and the roles the operator lets them carry."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from releases.accounts.roles import Role


def mapping(text: str) -> Mapping[str, frozenset[Role]]:
    """Read ``{"group id": ["role", ...], ...}``; nothing at all maps nothing.

    :raises ValueError: this is not such an object, or a role is not known; says which
    """
    found = json.loads(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise ValueError('not of the form {"group id": ["role"]}')  # noqa: TRY004  # whoever calls knows bad text only
    known = {role.value: role for role in Role}
    result = {}
    for group, roles in found.items():
        if not isinstance(roles, list) or not roles:
            raise ValueError(f"the group {group} needs a list of roles")
        if unknown := [str(role) for role in roles if role not in known]:
            raise ValueError(f"{', '.join(unknown)} is no role; roles are {', '.join(known)}")
        result[group] = frozenset(known[role] for role in roles)
    return MappingProxyType(result)


def roles_of(claims: Mapping[str, object], *, claim: str, mapping: Mapping[str, frozenset[Role]]) -> frozenset[Role]:
    """Return the roles of the groups that are named; a claim that is missing, or no list of texts, names none."""
    named = claims.get(claim)
    groups = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return frozenset().union(*(mapping.get(one, frozenset()) for one in groups if isinstance(one, str)))
