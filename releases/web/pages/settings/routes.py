"""Routes: where the traffic of a service is split, and how it was last seen."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Reading, Route
from releases.core.errors import External, Missing, Refused, Sentence
from releases.core.words import mark
from releases.traffic import services as traffic
from releases.traffic.ports import CANARY, STABLE, System
from releases.web.looks import Fact, Words
from releases.web.pages.settings import wires
from releases.web.pages.settings.bindings import WARNING
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Entry, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import href
from releases.web.tags import percent

LOCATOR = {
    "namespace": _("Namespace"),
    "name": _("Object"),
    "route": _("Route"),
    "system": _("Control plane"),
    "kind": _("Kind"),
}


MESHES = {System.ISTIO.value: "Istio", System.LINKERD.value: "Linkerd", System.GATEWAY.value: "Gateway API"}


class RouteForm(SettingForm):
    """The object that splits the traffic; its place stays."""

    code = frozenset({"namespace", "name", "route", "kind", "stable", "canary"})
    connection = forms.ChoiceField(label=_("Connection"), help_text=_("The cluster of the mesh, or the gateway."))
    namespace = Text(
        required=False, max_length=253, label=_("Namespace"), help_text=_("Kong: its workspace. APISIX has none.")
    )
    name = Text(
        max_length=253,
        label=_("Object"),
        help_text=_("What splits the traffic: the VirtualService, Kong's upstream, APISIX's route."),
    )
    route = Text(
        required=False,
        max_length=253,
        label=_("Route"),
        help_text=_("Its name inside the object, where it has several."),
    )
    system = forms.ChoiceField(
        required=False, label=_("Control plane"), help_text=_("A cluster's is Istio unless you choose another.")
    )
    kind = Text(
        required=False,
        max_length=63,
        label=_("Kind"),
        help_text=_("Only where it is not the usual one: tcp or tls of Istio, GRPCRoute of the Gateway API."),
    )
    stable = Text(max_length=63, label=_("Stable target"), initial="stable")
    canary = Text(max_length=63, label=_("Canary target"), initial="canary")

    def prepare(self) -> None:
        """Offer the clusters and gateways."""
        self.offer("connection", wires.connections([kind for kind in ConnectionKind if kind.splits_traffic]))
        self.offer("system", [("", _("The usual one")), *MESHES.items()])


class NewRouteForm(RouteForm):
    """A new route."""

    service = forms.ChoiceField(label=_("Service"))
    environment = forms.ChoiceField(label=_("Environment"))
    label = Text(
        required=False,
        max_length=63,
        label=_("Label"),
        help_text=_("Only where a service has several routes there: a word that tells it apart."),
    )
    field_order = ("service", "environment", "label", "connection")

    def prepare(self) -> None:
        """Offer the places, too."""
        super().prepare()
        self.offer("service", wires.services())
        self.offer("environment", wires.environments())


def _entries(asked: str) -> Sequence[Entry]:
    rows = Route.objects.select_related("service", "environment", "connection", "reading")
    if asked:
        named = Q(service__name__icontains=asked) | Q(environment__name__icontains=asked)
        rows = rows.filter(named | Q(connection__name__icontains=asked))
    return [
        Entry(
            str(row.pk),
            _name(row),
            (row.environment.name, row.connection.name, _weights(row)),
            note=f"{row.locator.get('namespace', '')}/{row.locator.get('name', '')}",
        )
        for row in rows[: MOST + 1]
    ]


def _name(row: Route) -> str:
    return f"{row.service.name}/{row.label}" if row.label else row.service.name


def _weights(row: Route) -> Words:
    seen: Reading | None = getattr(row, "reading", None)
    whole = sum(seen.weights.values()) if seen else 0
    if seen is None or not whole:
        return _("not seen yet")
    return ", ".join(
        f"{name} {percent(round(seen.weights.get(side, 0) / whole * 100))}"
        for name, side in ((row.stable, STABLE), (row.canary, CANARY))
    )


def _found(key: str) -> Route:
    rows = Route.objects.select_related("service", "environment", "connection", "reading")
    row = rows.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such route.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    words = {"service": row.service.name, "environment": row.environment.name}
    return Thing(
        name=f"{_name(row)}, {row.environment.name}",
        headline=Sentence(mark("The traffic of %(service)s is split in %(environment)s"), words),
        facts=tuple(_facts(row)),
        events=[one for one in audit.story(row.service.stream) if one.data.get("route") == key],
    )


def _facts(row: Route) -> Iterable[Fact]:
    yield Fact(_("Service"), row.service.name, href=href("services", row.service_id))
    yield Fact(_("Environment"), row.environment.name, href=href("environments", row.environment_id))
    yield Fact(_("Connection"), row.connection.name, href=href("connections", row.connection_id))
    for name, word in LOCATOR.items():
        if row.locator.get(name):
            yield Fact(word, row.locator[name], code=True)
    yield Fact(_("Stable target"), row.stable, code=True)
    yield Fact(_("Canary target"), row.canary, code=True)
    seen: Reading | None = getattr(row, "reading", None)
    yield Fact(_("Last seen"), _weights(row), at=seen.seen_at if seen else None)


def _asked(values: Values, before: Mapping[str, str]) -> dict[str, Any]:
    said = {name: values[name] for name in LOCATOR if values[name]}
    others = {name: value for name, value in before.items() if name not in LOCATOR}
    targets = {name: values[name] for name in ("stable", "canary")}
    return {"connection_id": UUID(values["connection"]), "locator": {**others, **said}, **targets}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    place: dict[str, Any] = {"service_id": UUID(values["service"]), "environment_id": UUID(values["environment"])}
    place["label"] = values["label"]
    row = services.register_route(actor=actor, must_be_new=True, now=now, **place, **_asked(values, {}))
    with suppress(External, Refused):  # its page says that it was not seen; looking again there says why
        traffic.look(route_id=row.pk, now=now)
    return str(row.pk)


def _look(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    require(actor, Right.CATALOG_EDIT)
    traffic.look(route_id=UUID(key), now=now)


def _described(key: str) -> Values:
    row = _found(key)
    said = {name: row.locator.get(name, "") for name in LOCATOR}
    return {**said, "connection": str(row.connection_id), "stable": row.stable, "canary": row.canary}


def _change(actor: Actor, key: str, values: Values, now: datetime) -> None:
    row = _found(key)
    services.describe_route(
        actor=actor, route_id=row.pk, now=now, unchanged=values["unchanged"], **_asked(values, row.locator)
    )


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_route(actor=actor, route_id=UUID(key), now=now)


SECTION = Section(
    slug="routes",
    word=_("Routes"),
    note=_("Where the traffic of a service is split between its two targets."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Service"), _("Environment"), _("Connection"), _("Last seen")),
    entries=_entries,
    thing=_thing,
    empty=_("None yet. Without one a service is released without shifting traffic."),
    search=_("Service, environment or connection"),
    add_word=_("Add a route"),
    form=NewRouteForm,
    add=_add,
    acts=(
        Act("look", _("Look at its traffic now"), _look, done=_("So the traffic is split now.")),
        Act("edit", _("Edit"), _change, form=RouteForm, initial=_described, confirm=WARNING),
        Act(
            "remove",
            _("Remove the route"),
            _remove,
            confirm=_("Only where traffic was never shifted. Changes that go there must be approved again."),
            tone="stop",
            goes_back=True,
            done=_("The route is removed."),
        ),
    ),
)
