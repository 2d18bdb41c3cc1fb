"""Delegations: who lends a seat of the committee to whom, and until when."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.committee import queries, services
from releases.committee.models import Delegation
from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import SEATS, Fact, Look
from releases.web.pages.settings.form import SettingForm
from releases.web.pages.settings.section import MOST, Act, Entry, Section, Thing, Values, uuid_of
from releases.web.pages.settings.words import NOBODY
from releases.web.tags import both

COUNTS = Look("go", "✓", pgettext_lazy("delegation", "Counts now"))
AHEAD = Look("info", "◷", pgettext_lazy("delegation", "Begins later"))
OVER = Look("", "○", pgettext_lazy("delegation", "Over"))
BACK = Look("", "↶", pgettext_lazy("delegation", "Taken back"))


class LendForm(SettingForm):
    """Which of one's own seats, to whom, and when."""

    seat = forms.ChoiceField(label=_("Seat"), help_text=_("Only your own: what was lent to you cannot be lent on."))
    to_person = forms.ChoiceField(
        label=pgettext_lazy("a person", "To"), help_text=_("Somebody who sits in the committee too.")
    )
    starts_at = forms.DateTimeField(label=_("From"))
    ends_at = forms.DateTimeField(label=_("Until"))

    def prepare(self) -> None:
        """Offer one's own seats, and the other members with theirs."""
        members = queries.members()
        mine = members.pop(self.actor.person_id, None) if self.actor.person_id else None
        self.offer("seat", [NOBODY, *((one, SEATS[one]) for one in sorted(mine.seats if mine else ()))])
        others = sorted(members.values(), key=lambda one: one.name)
        titles = [(str(one.id), f"{one.name} ({both([SEATS[seat] for seat in sorted(one.seats)])})") for one in others]
        self.offer("to_person", [NOBODY, *titles])


def _look(one: Delegation, now: datetime) -> Look:
    if one.revoked_at:
        return BACK
    if one.ends_at <= now:
        return OVER
    return COUNTS if one.starts_at <= now else AHEAD


def _entries(asked: str) -> Sequence[Entry]:
    now = clock.now()
    found = Delegation.objects.select_related("from_person", "to_person").order_by("-starts_at", "-pk")
    if asked:
        found = found.filter(Q(from_person__name__icontains=asked) | Q(to_person__name__icontains=asked))
    return [
        Entry(
            id=str(one.pk),
            name=f"{one.from_person.name} → {one.to_person.name}",
            cells=(SEATS[one.seat], one.starts_at, one.ends_at),
            look=_look(one, now),
        )
        for one in found[: MOST + 1]
    ]


def _thing(key: str, actor: Actor) -> Thing:
    one = Delegation.objects.select_related("from_person", "to_person").filter(pk=uuid_of(key)).first()
    if one is None:
        raise Missing(Sentence(mark("There is no such delegation.")))
    look = _look(one, clock.now())
    lender, borrower = one.from_person, one.to_person
    parts = {"from": lender.name, "seat": SEATS[one.seat], "to": borrower.name}
    is_mine = lender.pk == actor.person_id
    only = Sentence(mark("Only %(name)s, who lent the seat, takes it back."), {"name": lender.name})
    return Thing(
        name=f"{lender.name} → {borrower.name}",
        headline=Sentence(mark("%(from)s lends %(seat)s to %(to)s"), parts),
        looks=(look,),
        facts=(
            Fact(_("Seat"), SEATS[one.seat], href=reverse("settings-one", args=["roles", one.seat])),
            Fact(_("Lent by"), lender.name, href=reverse("settings-one", args=["people", lender.pk])),
            Fact(_("Lent to"), borrower.name, href=reverse("settings-one", args=["people", borrower.pk])),
            Fact(_("From"), one.starts_at),
            Fact(_("Until"), one.ends_at),
        ),
        events=[told for told in audit.story(one.stream) if told.data.get("delegation") == key],
        verbs=frozenset({"revoke"} if look in {COUNTS, AHEAD} else ()),
        refused={} if is_mine else {"revoke": only},
    )


def _lend(actor: Actor, values: Values, now: datetime) -> str:
    asked = {**values, "to_person": UUID(values["to_person"])}
    return str(services.delegate(actor=actor, now=now, **asked).pk)


def _take_back(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.revoke_delegation(delegation_id=UUID(key), actor=actor, now=now)


SECTION = Section(
    slug="delegations",
    word=_("Delegations"),
    note=_("Who lends a seat of the committee to whom, and until when."),
    group="people",
    right=Right.CHANGE_VOTE,
    columns=(_("Delegation"), _("Seat"), _("From"), _("Until")),
    entries=_entries,
    thing=_thing,
    empty=_("Nobody has lent a seat. Whoever is away for a while lends theirs to another member."),
    search=_("Person"),
    add_word=_("Lend a seat"),
    form=LendForm,
    add=_lend,
    acts=(
        Act(
            "revoke",
            _("Take the seat back"),
            _take_back,
            confirm=_("It ends at once, and what was decided on the lent seat counts no longer."),
            tone="stop",
            done=_("The seat is yours again."),
        ),
    ),
    in_configuration=False,
)
