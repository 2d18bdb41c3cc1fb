"""Services: what gets released, who owns it, and how much hangs on it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.models import Dependency, Service
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact
from releases.web.names import DATA
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import PURPOSES, RETIRED, href
from releases.web.pages.settings.words import NOBODY
from releases.web.tags import both

LEVELS = (("1", _("1, low")), ("2", "2"), ("3", "3"), ("4", _("4, everything stands still without it")))


class ServiceForm(SettingForm):
    """What is said of a service."""

    code = frozenset({"name", "tier"})
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    title = Text(max_length=120, required=False, label=_("Title"))
    team_id = forms.ChoiceField(label=_("Team"), help_text=_("Who owns it, and confirms what it depends on."))
    criticality = forms.ChoiceField(label=_("Criticality"), initial="2")
    tier = Text(max_length=32, required=False, label=_("Tier"), help_text=_("Your own word for it: web, core, data…"))
    data_classes = forms.MultipleChoiceField(required=False, label=_("It handles"))
    description = Text(required=False, max_length=5000, label=_("Description"), widget=forms.Textarea)

    def prepare(self) -> None:
        """Offer teams, levels and kinds of data."""
        self.offer("team_id", [NOBODY, *((str(pk), name) for pk, name in Team.objects.values_list("pk", "name"))])
        self.offer("criticality", LEVELS)
        self.offer("data_classes", list(DATA.items()))


def _entries(asked: str) -> Sequence[Entry]:
    rows = Service.objects.select_related("team")
    if asked:
        rows = rows.filter(Q(name__icontains=asked) | Q(title__icontains=asked) | Q(team__name__icontains=asked))
    return [
        Entry(
            str(row.pk),
            row.name,
            (row.team.name, row.tier, str(row.criticality)),
            note=row.title,
            look=RETIRED if row.retired_at else None,
        )
        for row in rows[: MOST + 1]
    ]


def _found(key: str) -> Service:
    row = Service.objects.select_related("team").filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such service.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    return Thing(
        name=row.name,
        headline=Sentence(mark("%(service)s belongs to %(team)s"), {"service": row.name, "team": row.team.title}),
        looks=(RETIRED,) if row.retired_at else (),
        facts=tuple(_facts(row)),
        blocks=(
            Block(
                _("Dependencies"), tuple(_dependencies(row)), empty=_("Nothing is known to call it, or to be called.")
            ),
            Block(_("Bindings and routes"), tuple(_wires(row)), empty=_("It is bound to nothing yet.")),
            Block(_("Customers it serves"), tuple(_customers(row)), empty=_("None is known.")),
        ),
        streams=(row.stream,),
        verbs=frozenset({"edit", "remove", "reinstate" if row.retired_at else "retire"}),
    )


def _facts(row: Service) -> Iterable[Fact]:
    yield Fact(_("Name"), row.name, href=f"/catalog/{row.name}")
    yield Fact(_("Title"), row.title)
    yield Fact(_("Team"), row.team.name, href=href("teams", row.team_id))
    yield Fact(_("Criticality"), str(row.criticality))
    if row.tier:
        yield Fact(_("Tier"), row.tier)
    if row.data_classes:
        yield Fact(_("It handles"), both([DATA.get(one, one) for one in row.data_classes]))
    if row.retired_at:
        yield Fact(_("Retired"), row.retired_at)


def _dependencies(row: Service) -> Iterable[Item]:
    edges = Dependency.objects.filter(Q(caller=row) | Q(callee=row)).select_related("caller", "callee")
    for one in edges:
        yield Item(f"{one.caller.name} → {one.callee.name}", one.detail, href=href("dependencies", one.pk))


def _wires(row: Service) -> Iterable[Item]:
    for one in row.bindings.select_related("environment", "connection"):
        words = {"purpose": PURPOSES[one.purpose], "environment": one.environment.name}
        text = Sentence(mark("%(purpose)s in %(environment)s"), words)
        yield Item(text, one.connection.name, href=href("bindings", one.pk))
    for route in row.routes.select_related("environment", "connection"):
        text = Sentence(mark("Traffic is split in %(environment)s"), {"environment": route.environment.name})
        yield Item(text, route.connection.name, href=href("routes", route.pk))


def _customers(row: Service) -> Iterable[Item]:
    for one in row.customers.all():
        yield Item(one.name, one.segment, href=href("customers", one.pk))


def _asked(values: Values) -> dict[str, Any]:
    return {**values, "team_id": UUID(values["team_id"]), "criticality": int(values["criticality"])}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    return str(services.register_service(actor=actor, now=now, **_asked(values)).pk)


def _described(key: str) -> Values:
    row = _found(key)
    said = {name: getattr(row, name) for name in ("name", "title", "tier", "data_classes", "description")}
    return {**said, "team_id": str(row.team_id), "criticality": str(row.criticality)}


def _describe(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.describe_service(actor=actor, service_id=UUID(key), now=now, **_asked(values))


def _retire(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.retire(actor=actor, service_id=UUID(key), now=now)


def _reinstate(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.reinstate(actor=actor, service_id=UUID(key), now=now)


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_service(actor=actor, service_id=UUID(key), now=now)


SECTION = Section(
    slug="services",
    word=_("Services"),
    note=_("What gets released, and which team owns it."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Service"), _("Team"), _("Tier"), _("Criticality")),
    entries=_entries,
    thing=_thing,
    empty=_("Add the first one, or import many at once."),
    search=_("Name, title or team"),
    add_word=_("Add a service"),
    form=ServiceForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _describe, form=ServiceForm, initial=_described),
        Act(
            "retire",
            _("Retire"),
            _retire,
            confirm=_("It leaves the lists, and what it calls counts no longer. Its history stays."),
            done=_("The service is retired."),
        ),
        Act("reinstate", _("Take into use again"), _reinstate, done=_("The service is in use again.")),
        Act(
            "remove",
            _("Remove the service"),
            _remove,
            confirm=_("Only what nothing refers to is removed. What has a history is retired."),
            tone="stop",
            goes_back=True,
            done=_("The service is removed."),
        ),
    ),
)
