"""Bindings: what a service in an environment uses connections for, and how."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.filling import BACK
from releases.catalog.kinds import Figure, Purpose
from releases.catalog.models import Binding
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact, Words
from releases.web.pages.settings import wires
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Entry, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import FIGURES, PURPOSES, Pairs, href, lines_of
from releases.web.tags import number

# Which fields say how a connection is used, by purpose; the others are not asked for.
FIELDS: Mapping[Purpose, tuple[str, ...]] = {
    Purpose.DEPLOY: ("job", "parameters", "options", "back_job", "back_parameters", "back_options"),
    Purpose.TRAFFIC: (),
    Purpose.HEALTH: ("query", "limit", "figure", "split", "url"),
    Purpose.BUDGET: ("query",),
}
BACK_FIELDS = {f"back_{name}": name for name in ("job", "parameters", "options")}
OURS = frozenset(name for names in FIELDS.values() for name in names)
KEPT = OURS | {BACK}


class BindingForm(SettingForm):
    """What a binding uses; its place and purpose stay."""

    code = OURS - {"limit", "figure"}
    lists: Mapping[str, str] = {"job": "jobs", "back_job": "jobs"}
    connection = forms.ChoiceField(label=_("Connection"))
    job = Text(
        required=False,
        max_length=250,
        label=_("Job"),
        help_text=_("To deploy: the full name of the job in Jenkins, or application/pipeline in Spinnaker."),
    )
    parameters = Pairs(
        texts=True,
        label=_("Parameters"),
        help_text=_(
            "To deploy: one name: value in each line. Never a secret. SERVICE, ENVIRONMENT, VERSION, DIGEST and SLOT "
            "are given anyway; {{ item.version }}, {{ item.digest }}, {{ operation.key }} and {{ permit }} are "
            "filled in."
        ),
    )
    options = Pairs(
        label=_("Options"),
        help_text=_("To deploy through Spinnaker: one name: value in each line, such as via: v2. Usually none."),
    )
    back_job = Text(
        required=False,
        max_length=250,
        label=_("Job to go back"),
        help_text=_("To deploy: where going back takes another job. Empty, it is the job above."),
    )
    back_parameters = Pairs(
        texts=True,
        label=_("Parameters to go back"),
        help_text=_("To deploy: instead of those above, where going back takes others."),
    )
    back_options = Pairs(
        label=_("Options to go back"),
        help_text=_(
            "To deploy through Spinnaker: instead of those above, such as task: undoRolloutManifest with account, "
            "location and manifestName, one in each line. The check names what a task needs."
        ),
    )
    query = Text(
        required=False,
        max_length=2000,
        label=_("Query"),
        help_text=_(
            "For health, to Prometheus: one figure, where less is better. For an error budget: which share of it is "
            "left, from 1 to 0. $service, $environment, $version."
        ),
        widget=forms.Textarea,
    )
    limit = forms.FloatField(
        required=False, label=_("Limit"), help_text=_("For health, with a query: what must not be exceeded.")
    )
    figure = forms.ChoiceField(required=False, label=_("The figure is"), help_text=_("For health, with a query."))
    split = Text(
        required=False,
        max_length=2000,
        label=_("Query for the split"),
        help_text=_(
            "For health, to Prometheus: which share of the requests the version gets, from 0 to 1. After a shift GMUD "
            "asks it, up to 75 seconds long, whether they follow."
        ),
        widget=forms.Textarea,
    )
    url = Text(
        required=False,
        max_length=500,
        label=_("Health address"),
        help_text=_("For health, over HTTP: the path that is asked, such as /ready."),
    )

    def prepare(self) -> None:
        """Offer the connections and figures, and leave out what another purpose needs."""
        self.offer("connection", wires.connections())
        self.offer("figure", list(FIGURES.items()))
        purpose = (
            Binding.objects.filter(pk=self.about).values_list("purpose", flat=True).first() if self.about else None
        )
        if purpose:
            for name in OURS - set(FIELDS[Purpose(purpose)]):
                del self.fields[name]


class NewBindingForm(BindingForm):
    """A new binding."""

    service = forms.ChoiceField(label=_("Service"))
    environment = forms.ChoiceField(label=_("Environment"))
    purpose = forms.ChoiceField(label=_("For"))
    field_order = ("service", "environment", "purpose", "connection")

    def prepare(self) -> None:
        """Offer places and purposes, too."""
        super().prepare()
        self.offer("service", wires.services())
        self.offer("environment", wires.environments())
        self.offer("purpose", list(PURPOSES.items()))
        if (asked := self.filled.get("purpose", "")) in set(Purpose):
            for name in OURS - set(FIELDS[Purpose(asked)]):
                del self.fields[name]


def _entries(asked: str) -> Sequence[Entry]:
    rows = Binding.objects.select_related("service", "environment", "connection")
    if asked:
        named = Q(service__name__icontains=asked) | Q(environment__name__icontains=asked)
        rows = rows.filter(named | Q(connection__name__icontains=asked))
    return [
        Entry(
            str(row.pk),
            row.service.name,
            (row.environment.name, PURPOSES[row.purpose], row.connection.name),
            note=_how(row),
        )
        for row in rows[: MOST + 1]
    ]


def _how(row: Binding) -> str:
    return str(row.settings.get("job") or row.settings.get("url") or row.settings.get("query") or "")


def _found(key: str) -> Binding:
    rows = Binding.objects.select_related("service", "environment", "connection")
    row = rows.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such binding.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    words = {"service": row.service.name, "environment": row.environment.name, "connection": row.connection.name}
    headlines = {
        Purpose.DEPLOY: mark("%(connection)s deploys %(service)s in %(environment)s"),
        Purpose.TRAFFIC: mark("%(connection)s carries the traffic of %(service)s in %(environment)s"),
        Purpose.HEALTH: mark("%(connection)s tells how %(service)s is doing in %(environment)s"),
        Purpose.BUDGET: mark("%(connection)s tells what is left of the error budget of %(service)s in %(environment)s"),
    }
    return Thing(
        name=f"{row.service.name}, {row.environment.name}",
        headline=Sentence(headlines[Purpose(row.purpose)], words),
        facts=tuple(_facts(row)),
        events=[one for one in audit.story(row.service.stream) if one.data.get("binding") == key],
    )


def _facts(row: Binding) -> Iterable[Fact]:
    yield Fact(_("Service"), row.service.name, href=href("services", row.service_id))
    yield Fact(_("Environment"), row.environment.name, href=href("environments", row.environment_id))
    yield Fact(_("For"), PURPOSES[row.purpose])
    yield Fact(_("Connection"), row.connection.name, href=href("connections", row.connection_id))
    said = row.settings
    if said.get("job"):
        yield Fact(_("Job"), said["job"], code=True)
    if said.get("parameters"):
        yield Fact(_("Parameters"), lines_of(said["parameters"]).replace("\n", ", "))
    if said.get("options"):
        yield Fact(_("Options"), lines_of(said["options"]).replace("\n", ", "))
    for name, value in said.get(BACK, {}).items():
        yield Fact(BACK_WORDS[name], lines_of(value).replace("\n", ", ") if isinstance(value, dict) else value)
    if said.get("query"):
        yield Fact(_("Query"), said["query"], code=True)
    if said.get("query") and row.purpose == Purpose.HEALTH:
        yield Fact(_("Limit"), number(said["limit"]), note=FIGURES[said.get("figure", Figure.ERRORS.value)])
    if said.get("split"):
        yield Fact(_("Query for the split"), said["split"], code=True)
    if said.get("url"):
        yield Fact(_("Health address"), said["url"], code=True)


def settings_of(values: Values, purpose: Purpose, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the connection is used: what the form asks for, and what else was there before."""
    asked = {name: values.get(name) for name in FIELDS[purpose]}
    back = {of: value for name, of in BACK_FIELDS.items() if (value := asked.pop(name, None))}
    if not asked.get("query"):
        asked.pop("limit", None)
        asked.pop("figure", None)
        asked.pop("split", None)
    if not asked.get("options"):
        asked.pop("options", None)
    said = {name: value for name, value in asked.items() if value not in ("", None)}
    kept = {name: value for name, value in before.items() if name not in KEPT}
    return {**kept, **said, **({BACK: back} if back else {})}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    purpose = Purpose(values["purpose"])
    row = services.bind(
        actor=actor,
        service_id=UUID(values["service"]),
        environment_id=UUID(values["environment"]),
        purpose=purpose,
        connection_id=UUID(values["connection"]),
        settings=settings_of(values, purpose, {}),
        must_be_new=True,
        now=now,
    )
    return str(row.pk)


def _described(key: str) -> Values:
    row = _found(key)
    back = row.settings.get(BACK, {})
    whole = {**row.settings, **{name: back.get(of, "") for name, of in BACK_FIELDS.items()}}
    said = {name: whole.get(name, "") for name in FIELDS[Purpose(row.purpose)]}
    said |= {name: lines_of(said[name] or {}) for name in said if name.endswith(("parameters", "options"))}
    if "figure" in said:
        said["figure"] = said["figure"] or Figure.ERRORS.value
    return {**said, "connection": str(row.connection_id)}


def _change(actor: Actor, key: str, values: Values, now: datetime) -> None:
    row = _found(key)
    services.rebind(
        actor=actor,
        binding_id=row.pk,
        connection_id=UUID(values["connection"]),
        settings=settings_of(values, Purpose(row.purpose), row.settings),
        now=now,
        unchanged=values["unchanged"],
    )


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.unbind(actor=actor, binding_id=UUID(key), now=now)


BACK_WORDS: Mapping[str, Words] = {
    "job": _("Job to go back"),
    "parameters": _("Parameters to go back"),
    "options": _("Options to go back"),
}
WARNING = _("Changes that go there and are approved must be approved again: their wiring is another.")

SECTION = Section(
    slug="bindings",
    word=_("Bindings"),
    note=_("Which connection deploys a service, carries its traffic, or tells how it is doing and may still fail."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Service"), _("Environment"), _("For"), _("Connection")),
    entries=_entries,
    thing=_thing,
    empty=_("None yet. Without one nothing is deployed and nothing is measured."),
    search=_("Service, environment or connection"),
    add_word=_("Add a binding"),
    form=NewBindingForm,
    add=_add,
    aid="settings/binding_aid.html",
    acts=(
        Act("edit", _("Edit"), _change, form=BindingForm, initial=_described, confirm=WARNING),
        Act(
            "remove",
            _("Remove the binding"),
            _remove,
            confirm=WARNING,
            tone="stop",
            goes_back=True,
            done=_("The binding is removed."),
        ),
    ),
)
