"""Customers: who is served by what, and how long before a change they must hear of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.models import Customer, Service
from releases.core.errors import Missing, Sentence
from releases.core.words import mark, plural
from releases.web.looks import Fact, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import RETIRED, href
from releases.web.tags import both, number

HOURS = plural("%(n)s hour before", "%(n)s hours before", by="n")
MOST_OF = 2**31 - 1


class CustomerForm(SettingForm):
    """What is said of a customer."""

    code = frozenset({"segment"})
    name = Text(max_length=120, label=_("Name"))
    segment = Text(max_length=32, label=_("Segment"), help_text=_("Lower-case letters, digits and hyphens."))
    size = forms.IntegerField(
        min_value=0, max_value=MOST_OF, initial=1, label=_("Size"), help_text=_("People or firms behind the name.")
    )
    notice_hours = forms.IntegerField(
        min_value=0,
        max_value=MOST_OF,
        initial=0,
        label=_("Hours of notice"),
        help_text=_("How long before a change they must hear of it; 0 when they need not."),
    )
    services = forms.MultipleChoiceField(required=False, label=_("Served by"))

    def prepare(self) -> None:
        """Offer every service in use, and those that serve it already."""
        rows = Service.objects.filter(retired_at=None)
        if self.about:
            rows = Service.objects.filter(Q(retired_at=None) | Q(customers=self.about)).distinct()
        self.offer("services", [(str(pk), name) for pk, name in rows.values_list("pk", "name")])


def _entries(asked: str) -> Sequence[Entry]:
    rows = Customer.objects.prefetch_related("services")
    if asked:
        rows = rows.filter(Q(name__icontains=asked) | Q(segment__icontains=asked))
    return [
        Entry(str(row.pk), row.name, (row.segment, number(row.size), _notice(row), _served(row)))
        for row in rows[: MOST + 1]
    ]


def _served(row: Customer) -> Words:
    names = [one.name for one in row.services.all()]
    if len(names) <= 4:
        return both(names)
    return Sentence(mark("%(names)s and %(n)s more"), {"names": ", ".join(names[:3]), "n": len(names) - 3})


def _notice(row: Customer) -> Words:
    return Sentence(HOURS, {"n": row.notice_hours}) if row.notice_hours else _("none needed")


def _found(key: str) -> Customer:
    row = Customer.objects.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such customer.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    return Thing(
        name=row.name,
        headline=row.name,
        facts=(Fact(_("Segment"), row.segment), Fact(_("Size"), number(row.size)), Fact(_("Notice"), _notice(row))),
        blocks=(Block(_("Served by"), tuple(_items(row)), empty=_("No service is known to serve it.")),),
        streams=(row.stream,),
    )


def _items(row: Customer) -> Iterable[Item]:
    for one in row.services.all():
        yield Item(one.name, one.title, href=href("services", one.pk), look=RETIRED if one.retired_at else None)


def _asked(values: Values) -> dict[str, Any]:
    said = {name: value for name, value in values.items() if name != "services"}
    return {**said, "service_ids": [UUID(one) for one in values["services"]]}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    return str(services.register_customer(actor=actor, now=now, **_asked(values)).pk)


def _described(key: str) -> Values:
    row = _found(key)
    said = {name: getattr(row, name) for name in ("name", "segment", "size", "notice_hours")}
    return {**said, "services": [str(pk) for pk in row.services.values_list("pk", flat=True)]}


def _describe(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.describe_customer(actor=actor, customer_id=UUID(key), now=now, **_asked(values))


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_customer(actor=actor, customer_id=UUID(key), now=now)


SECTION = Section(
    slug="customers",
    word=_("Customers"),
    note=_("Who is served by what, and how long before a change they must hear of it."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Customer"), _("Segment"), _("Size"), _("Notice"), _("Served by")),
    entries=_entries,
    thing=_thing,
    empty=_("None yet. They say who is hurt when something breaks."),
    search=_("Name or segment"),
    add_word=_("Add a customer"),
    form=CustomerForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _describe, form=CustomerForm, initial=_described),
        Act(
            "remove",
            _("Remove the customer"),
            _remove,
            confirm=_("Changes no longer count it among those they reach, or wait for its notice."),
            tone="stop",
            goes_back=True,
            done=_("The customer is removed."),
        ),
    ),
)
