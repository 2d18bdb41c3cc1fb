"""Dependencies: who calls whom, where that was read, and what its owners say of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.kinds import DependencySource
from releases.catalog.models import Dependency
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact, Look, Words
from releases.web.pages.catalog import SOURCES
from releases.web.pages.settings import wires
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Entry, Section, Thing, Values, uuid_of
from releases.web.request import why_not

CONFIRMED = Look("go", "✓", pgettext_lazy("dependency", "Confirmed"))
DENIED = Look("stop", "✕", pgettext_lazy("dependency", "Denied"))
HINT = Look("wait", "?", pgettext_lazy("dependency", "Hint"))
READ = Look("", "○", pgettext_lazy("dependency", "Counts"))


class LinkForm(SettingForm):
    """Who calls whom, as a person says."""

    caller = forms.ChoiceField(label=_("This service calls"))
    callee = forms.ChoiceField(label=_("This one"))
    detail = Text(required=False, max_length=250, label=_("Detail"), help_text=_("What for, or by which address."))

    def prepare(self) -> None:
        """Offer the services."""
        choices = wires.services()
        self.offer("caller", choices)
        self.offer("callee", choices)


def _look(row: Dependency) -> Look:
    if row.denied_at:
        return DENIED
    if row.confirmed_at:
        return CONFIRMED
    return HINT if DependencySource(row.source).is_hint else READ


def _rows(asked: str = "") -> Iterable[Dependency]:
    rows = Dependency.objects.select_related("caller", "callee", "confirmed_by", "denied_by")
    if asked:
        rows = rows.filter(Q(caller__name__icontains=asked) | Q(callee__name__icontains=asked))
    return rows[: MOST + 1]


def _entries(asked: str) -> Sequence[Entry]:
    return [Entry(str(row.pk), _name(row), (SOURCES[row.source], _said(row)), look=_look(row)) for row in _rows(asked)]


def _name(row: Dependency) -> str:
    return f"{row.caller.name} → {row.callee.name}"


def _said(row: Dependency) -> Words:
    person = row.confirmed_by or row.denied_by
    return person.name if person else ""


def _found(key: str) -> Dependency:
    rows = Dependency.objects.select_related("caller", "callee", "confirmed_by", "denied_by")
    row = rows.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such dependency.")))
    return row


def _thing(key: str, actor: Actor) -> Thing:
    row = _found(key)
    names = {"caller": row.caller.name, "callee": row.callee.name}
    headlines = {
        DENIED: mark("%(caller)s does not call %(callee)s, though it looked so"),
        HINT: mark("%(caller)s perhaps calls %(callee)s: its owners have not said"),
    }
    look = _look(row)
    verbs = {"unlink", *({"confirm"} if look is not CONFIRMED else ()), *({"deny"} if look is not DENIED else ())}
    return Thing(
        name=_name(row),
        headline=Sentence(headlines.get(look, mark("%(caller)s calls %(callee)s")), names),
        looks=(look,),
        facts=tuple(_facts(row)),
        streams=(row.stream,),
        verbs=frozenset(verbs),
        refused=_refused(row, actor),
    )


def _facts(row: Dependency) -> Iterable[Fact]:
    yield Fact(_("Caller"), row.caller.name, href=wires.href("services", row.caller_id))
    yield Fact(_("Called"), row.callee.name, href=wires.href("services", row.callee_id))
    yield Fact(_("Source"), SOURCES[row.source])
    if row.detail:
        yield Fact(_("Detail"), row.detail)
    yield Fact(_("First seen"), row.seen_at)
    if row.confirmed_by:
        yield Fact(_("Confirmed by"), row.confirmed_by.name, at=row.confirmed_at)
    if row.denied_by:
        yield Fact(_("Denied by"), row.denied_by.name, at=row.denied_at)


def _refused(row: Dependency, actor: Actor) -> Mapping[str, Words]:
    """Return why this person judges nothing here: neither an owner of one end nor an editor of the catalogue."""
    teams = (row.caller.team_id, row.callee.team_id)
    if actor.person_id and Person.objects.filter(pk=actor.person_id, teams__in=teams).exists():
        return {}
    why = why_not(actor, Right.CATALOG_EDIT)
    return dict.fromkeys(("confirm", "deny"), why) if why else {}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    row = services.link(
        actor=actor,
        caller_id=UUID(values["caller"]),
        callee_id=UUID(values["callee"]),
        source=DependencySource.MANUAL,
        detail=values["detail"],
        now=now,
    )
    return str(row.pk)


def _confirm(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.confirm_dependency(actor=actor, dependency_id=UUID(key), now=now)


def _deny(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.deny_dependency(actor=actor, dependency_id=UUID(key), now=now)


def _unlink(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.unlink(actor=actor, dependency_id=UUID(key), now=now)


SECTION = Section(
    slug="dependencies",
    word=_("Dependencies"),
    note=_("Who calls whom, where that was read, and what the owners say of it."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Dependency"), _("Source"), _("Judged by")),
    entries=_entries,
    thing=_thing,
    empty=_("None yet. Import manifests, or add what you know."),
    search=_("Service"),
    add_word=_("Add a dependency"),
    form=LinkForm,
    add=_add,
    acts=(
        Act("confirm", _("Confirm"), _confirm, right=Right.CHANGE_READ, done=_("The dependency is a fact now.")),
        Act(
            "deny",
            _("Deny"),
            _deny,
            confirm=_("It counts no longer, also when the same source says it again."),
            tone="stop",
            right=Right.CHANGE_READ,
            done=_("The dependency counts no longer."),
        ),
        Act(
            "unlink",
            _("Remove the dependency"),
            _unlink,
            confirm=_("When its source says it again, it counts again. Deny it to stop that."),
            tone="stop",
            goes_back=True,
            done=_("The dependency is removed."),
        ),
    ),
)
