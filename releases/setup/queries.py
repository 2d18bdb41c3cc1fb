"""The configuration of this installation as it stands: by names, never by ids, and never a secret."""

from collections.abc import Mapping
from typing import Any

import yaml

from releases.accounts.models import ApiClient, Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog.models import Binding, Connection, Customer, Dependency, Environment, Route, Service
from releases.committee.queries import current_policy, written_out
from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _
from releases.setup.document import holds_secret
from releases.setup.shape import EVERY, FORMAT, POLICY, SECTIONS, Key, key_of, name_of

Values = dict[str, Any]
# Machines are not written: no file gives a token back, so the file would promise what applying it cannot keep.
WRITTEN = ("teams", "people", *(name for name in SECTIONS if name not in {"teams", "people", "machines"}))
_WIDTH = 120
MAY_LOOK = (Right.CATALOG_EDIT, Right.PEOPLE_EDIT, Right.POLICY_EDIT, Right.AUDIT_READ)


def export(*, actor: Actor) -> str:
    """Return the configuration as one file: the same installation always gives the same bytes.

    :raises NotPermitted: the actor may neither edit the catalogue or people nor read the record
    :raises Refused: a setting has a name or a value that only a secret has, so the file would carry it away
    """
    require(actor, *MAY_LOOK)
    found = as_it_is()
    for section in ("connections", "bindings", "routes"):
        for key, values in found[section].items():
            if holds_secret(values):
                text = _("%(name)s (%(section)s) holds a secret in its settings: move it to the other system first.")
                raise Refused(Sentence(text, {"name": name_of(section, key), "section": section}))
    document: Values = {"gmud": FORMAT}
    document |= {name: [_written(name, one) for one in found[name].values()] for name in WRITTEN}
    for policy in found[POLICY].values():
        document[POLICY] = _written(POLICY, policy)
    written: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    return written


def by_hand(*, actor: Actor) -> tuple[Values, ...]:
    """Return the machines: what the file leaves out because each token is shown to one person, once.

    :raises NotPermitted: the actor may neither edit the catalogue or people nor read the record
    """
    require(actor, *MAY_LOOK)
    return tuple(_machines())


def as_it_is() -> dict[str, dict[Key, Values]]:
    """Return everything a file may speak of, by section and key, in the order it is written."""
    found: dict[str, list[Values]] = {
        "people": _people(),
        "teams": _teams(),
        "machines": _machines(),
        "environments": [*map(dict, Environment.objects.values("name", "kind", "rank"))],
        "services": _services(),
        "dependencies": _dependencies(),
        "customers": _customers(),
        "connections": [*map(dict, Connection.objects.values("name", "kind", "origin", "config", "account"))],
        "bindings": _bindings(),
        "routes": _routes(),
    }
    there = {
        section: {key_of(section, one): one for one in _in_order(section, many)} for section, many in found.items()
    }
    policy = current_policy()
    there[POLICY] = {(): {"name": policy.name, "rules": written_out(policy)}} if policy else {}
    return there


def username_of_everybody() -> dict[Any, str]:
    """Return the user name by which a person is known here: the first of the accounts that are open, else of all."""
    found: dict[Any, str] = {}
    for account in User.objects.order_by("-is_active", "username").only("username", "person_id"):
        found.setdefault(account.person_id, account.username)
    return found


def _in_order(section: str, many: list[Values]) -> list[Values]:
    """Sort by name here: two databases do not agree on the order of letters."""
    if section == "environments":
        return sorted(many, key=lambda one: (one["rank"], one["name"]))
    return sorted(many, key=lambda one: key_of(section, one))


def _people() -> list[Values]:
    names = username_of_everybody()
    languages = dict(User.objects.values_list("username", "language"))
    return [
        {
            "username": names[one.pk],
            "name": one.name,
            "email": one.email,
            "language": languages[names[one.pk]],
            # What a group of the identity provider gave is the provider's to say.
            "roles": sorted(grant.role for grant in one.grants.all() if not grant.source),
        }
        for one in Person.objects.filter(is_active=True).prefetch_related("grants")
        if one.pk in names
    ]


def _teams() -> list[Values]:
    names = username_of_everybody()
    return [
        {
            "name": one.name,
            "title": one.title,
            "members": sorted(names[who.pk] for who in one.members.all() if who.is_active and who.pk in names),
        }
        for one in Team.objects.prefetch_related("members")
    ]


def _machines() -> list[Values]:
    names = username_of_everybody()
    living = ApiClient.objects.filter(revoked_at=None).select_related("team")
    return [
        {
            "name": one.name,
            "owner": names.get(one.owner_id, ""),
            "scopes": sorted(one.scopes),
            "team": one.team.name if one.team else "",
        }
        for one in sorted(living, key=lambda one: (one.name, one.issued_at))
    ]


def _services() -> list[Values]:
    return [
        {
            "name": one.name,
            "title": one.title,
            "team": one.team.name,
            "tier": one.tier,
            "criticality": one.criticality,
            "data_classes": sorted(one.data_classes),
            "description": one.description,
        }
        for one in Service.objects.filter(retired_at=None).select_related("team")
    ]


def _dependencies() -> list[Values]:
    living = Dependency.objects.filter(denied_at=None, caller__retired_at=None, callee__retired_at=None)
    return [
        {
            "caller": one.caller.name,
            "callee": one.callee.name,
            "source": one.source,
            "detail": one.detail,
            "confirmed": one.confirmed_at is not None,
        }
        for one in living.select_related("caller", "callee")
    ]


def _customers() -> list[Values]:
    return [
        {
            "name": one.name,
            "segment": one.segment,
            "size": one.size,
            "notice_hours": one.notice_hours,
            "services": sorted(service.name for service in one.services.all() if service.retired_at is None),
        }
        for one in Customer.objects.prefetch_related("services")
    ]


def _bindings() -> list[Values]:
    living = Binding.objects.filter(service__retired_at=None)
    return [
        {
            "service": one.service.name,
            "environment": one.environment.name,
            "purpose": one.purpose,
            "connection": one.connection.name,
            "settings": one.settings,
        }
        for one in living.select_related("service", "environment", "connection")
    ]


def _routes() -> list[Values]:
    living = Route.objects.filter(service__retired_at=None)
    return [
        {
            "service": one.service.name,
            "environment": one.environment.name,
            "label": one.label,
            "connection": one.connection.name,
            "locator": one.locator,
            "stable": one.stable,
            "canary": one.canary,
        }
        for one in living.select_related("service", "environment", "connection")
    ]


def _written(section: str, values: Mapping[str, Any]) -> Values:
    """Return a thing with its fields in their order, and inner names in the order of letters."""
    return {name: _sorted(values[name]) for name in EVERY[section].fields}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(one) for one in value]
    return value


class _Dumper(yaml.CSafeDumper):
    """Writes short lists in one line, long texts as lines, and everything in full, never by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write the same thing twice rather than point at it."""
        return True


def _list(dumper: Any, value: list[Any]) -> Any:
    flat = not any(isinstance(one, dict | list) for one in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flat)


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)
