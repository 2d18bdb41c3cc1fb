"""Customers: who is served by what, and how long before a change they must hear of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.calendar import queries as calendar
from releases.calendar import services as freezes
from releases.calendar.models import Window
from releases.calendar.rules import WindowCard
from releases.catalog import queries, services
from releases.catalog.models import Customer, Service
from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark, plural
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import RETIRED, href
from releases.web.pages.settings.words import NOBODY
from releases.web.tags import both, number

HOLDS = Look("stop", "■", pgettext_lazy("freeze", "Holds now"))
AHEAD = Look("info", "◷", pgettext_lazy("freeze", "Ahead"))
THIS_ONE, SEGMENT = "customer", "segment"
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


class FreezeForm(SettingForm):
    """What is kept from whom, and when."""

    of = forms.ChoiceField(label=_("For"))
    title = Text(max_length=120, label=_("Title"), help_text=_("Those who wait will read it: payroll day, audit."))
    starts_at = forms.DateTimeField(label=_("From"))
    ends_at = forms.DateTimeField(label=_("Until"))

    def prepare(self) -> None:
        """Offer the customer, and everybody of its segment."""
        row = _found(self.about)
        everybody = Sentence(mark("every customer of %(segment)s"), {"segment": row.segment})
        self.offer("of", [(THIS_ONE, row.name), (SEGMENT, everybody)])


class LiftForm(SettingForm):
    """One freeze."""

    freeze = forms.ChoiceField(label=_("Freeze"))

    def prepare(self) -> None:
        """Offer those that are not over."""
        self.offer("freeze", [NOBODY, *((str(one.id), one.title) for one in _frozen(_found(self.about)))])


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
        blocks=(
            Block(_("Served by"), tuple(_items(row)), empty=_("No service is known to serve it.")),
            Block(
                _("Freezes asked for"),
                tuple(_freezes(row)),
                empty=_("None. In a freeze, nothing that hurts the customer goes to production."),
            ),
        ),
        streams=(row.stream, *(one.stream for one in Window.objects.filter(Q(customer=row) | Q(segment=row.segment)))),
    )


def _items(row: Customer) -> Iterable[Item]:
    for one in row.services.all():
        yield Item(one.name, one.title, href=href("services", one.pk), look=RETIRED if one.retired_at else None)


def _frozen(row: Customer) -> list[WindowCard]:
    """Return the freezes of a customer, and of its segment, that are not over."""
    return [one for one in calendar.freezes_of([queries.customer_card(row)]) if one.ends_at > clock.now()]


def _freezes(row: Customer) -> Iterable[Item]:
    for one in _frozen(row):
        parts = {"from": one.starts_at, "until": one.ends_at}
        when = Sentence(mark("%(from)s until %(until)s"), parts)
        everybody = Sentence(
            mark("%(when)s, for every customer of %(segment)s"), {"when": when, "segment": one.scope.segment}
        )
        yield Item(
            one.title,
            everybody if one.scope.segment else when,
            look=HOLDS if one.starts_at <= clock.now() else AHEAD,
            verbs=("lift",),
            fill={"freeze": str(one.id)},
        )


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


def _freeze(actor: Actor, key: str, values: Values, now: datetime) -> None:
    row = _found(key)
    of: dict[str, Any] = {"customer_id": row.pk} if values["of"] == THIS_ONE else {"segment": row.segment}
    freezes.freeze_for(
        actor=actor,
        title=values["title"],
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        now=now,
        **of,
    )


def _lift(actor: Actor, _key: str, values: Values, now: datetime) -> None:
    freezes.lift(window_id=UUID(values["freeze"]), actor=actor, now=now)


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
            "freeze",
            _("Set a freeze"),
            _freeze,
            form=FreezeForm,
            confirm=_("Until it ends, nothing that may hurt them goes to production. Going back is always allowed."),
            right=Right.FREEZE_SET,
            done=_("The freeze is set."),
        ),
        Act(
            "lift",
            _("Lift"),
            _lift,
            form=LiftForm,
            in_rows=True,
            right=Right.FREEZE_SET,
            done=_("The freeze is lifted."),
        ),
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
