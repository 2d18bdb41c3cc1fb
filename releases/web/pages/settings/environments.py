"""Environments: where services run, in their order on the way to production."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.kinds import EnvironmentKind
from releases.catalog.models import Environment, Running
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import ENVIRONMENTS, href


class EnvironmentForm(SettingForm):
    """What is said of an environment."""

    code = frozenset({"name"})
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    kind = forms.ChoiceField(label=_("Kind"), help_text=_("It decides who must approve, so it stays once in use."))
    rank = forms.IntegerField(
        min_value=0, max_value=32767, initial=0, label=_("Rank"), help_text=_("A lower one comes first.")
    )

    def prepare(self) -> None:
        """Offer the kinds."""
        self.offer("kind", list(ENVIRONMENTS.items()))


def _entries(asked: str) -> Sequence[Entry]:
    rows = Environment.objects.filter(name__icontains=asked)[: MOST + 1]
    return [Entry(str(row.pk), row.name, (ENVIRONMENTS[row.kind], str(row.rank))) for row in rows]


def _found(key: str) -> Environment:
    row = Environment.objects.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such environment.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    runs = Running.objects.filter(environment=row, ended_at=None).select_related("service", "artifact")
    items = tuple(
        Item(one.service.name, one.artifact.version, href=href("services", one.service_id), at=one.since_at)
        for one in runs
    )
    return Thing(
        name=row.name,
        headline=Sentence(mark("%(name)s: %(kind)s"), {"name": row.name, "kind": ENVIRONMENTS[row.kind]}),
        facts=(Fact(_("Kind"), ENVIRONMENTS[row.kind]), Fact(_("Rank"), str(row.rank))),
        blocks=(Block(_("What runs here"), items, empty=_("Nothing is known to run here.")),),
        streams=(row.stream,),
    )


def _asked(values: Values) -> dict[str, Any]:
    return {**values, "kind": EnvironmentKind(values["kind"])}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    return str(services.register_environment(actor=actor, now=now, **_asked(values)).pk)


def _described(key: str) -> Values:
    row = _found(key)
    return {"name": row.name, "kind": row.kind, "rank": row.rank}


def _describe(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.describe_environment(actor=actor, environment_id=UUID(key), now=now, **_asked(values))


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_environment(actor=actor, environment_id=UUID(key), now=now)


SECTION = Section(
    slug="environments",
    word=_("Environments"),
    note=_("Where services run, in their order on the way to production."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Environment"), _("Kind"), _("Rank")),
    entries=_entries,
    thing=_thing,
    empty=_("Add the first one: usually staging, then production."),
    add_word=_("Add an environment"),
    form=EnvironmentForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _describe, form=EnvironmentForm, initial=_described),
        Act(
            "remove",
            _("Remove the environment"),
            _remove,
            confirm=_("Only what nothing refers to is removed."),
            tone="stop",
            goes_back=True,
            done=_("The environment is removed."),
        ),
    ),
)
