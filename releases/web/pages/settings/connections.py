"""Connections: ways to outside systems, their secrets that only go in, and how their last test ended."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.setup import checks
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.wires import PURPOSES, SYSTEMS, Pairs, href, lines_of

LIGHTS = {
    "": Look("", "○", pgettext_lazy("connection", "Not tested")),
    "go": Look("go", "✓", pgettext_lazy("connection", "Works")),
    "wait": Look("wait", "!", pgettext_lazy("connection", "Needs mending")),
    "stop": Look("stop", "✕", pgettext_lazy("connection", "Does not work")),
}


class ConnectionForm(SettingForm):
    """A connection that exists; its kind stays."""

    code = frozenset({"name", "origin", "account", "secret", "config"})
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    origin = Text(
        max_length=250,
        label=_("Address"),
        help_text=_("https://host:port. Another address asks for the secret anew."),
    )
    account = Text(
        required=False, max_length=120, label=_("Account"), help_text=_("Jenkins: the user the API token belongs to.")
    )
    secret = forms.CharField(
        required=False,
        max_length=8000,
        label=_("Secret"),
        help_text=_("A token of the other system. It is sealed and never shown again; left empty it stays as it is."),
        widget=forms.PasswordInput,
    )
    config = Pairs(label=_("Settings"), help_text=_("One name: value in each line; usually none. Never a secret."))


class NewConnectionForm(ConnectionForm):
    """A new connection."""

    kind = forms.ChoiceField(label=_("System"))
    field_order = ("name", "kind", "origin", "account", "secret", "config")

    def prepare(self) -> None:
        """Offer the systems."""
        self.offer("kind", list(SYSTEMS.items()))


def _entries(asked: str) -> Sequence[Entry]:
    rows = Connection.objects.annotate(
        used=Count("bindings", distinct=True) + Count("routes", distinct=True),
    )
    if asked:
        rows = rows.filter(Q(name__icontains=asked) | Q(origin__icontains=asked) | Q(kind__icontains=asked))
    return [
        Entry(
            str(row.pk),
            row.name,
            (SYSTEMS[row.kind], str(row.used), row.checked_at or _("never")),
            note=row.origin,
            look=LIGHTS[row.check_light],
        )
        for row in rows[: MOST + 1]
    ]


def _found(key: str) -> Connection:
    row = Connection.objects.filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such connection.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    verbs = {"edit", "test", "remove"}
    if row.secret_box is not None and not ConnectionKind(row.kind).needs_secret:
        verbs.add("forget")
    return Thing(
        name=row.name,
        headline=Sentence(mark("%(name)s leads to %(system)s"), {"name": row.name, "system": SYSTEMS[row.kind]}),
        looks=(LIGHTS[row.check_light],),
        facts=tuple(_facts(row)),
        blocks=(
            Block(_("What the last test found"), tuple(_lines(row)), empty=_found_nothing(row)),
            Block(_("Used by"), tuple(_uses(row)), empty=_("Nothing uses it yet. Bind a service to it.")),
        ),
        streams=(row.stream,),
        verbs=frozenset(verbs),
    )


def _found_nothing(row: Connection) -> Words:
    return _("Nothing to mend.") if row.checked_at else _("It was not tested yet, or changed since.")


def _facts(row: Connection) -> Iterable[Fact]:
    yield Fact(_("System"), SYSTEMS[row.kind])
    yield Fact(_("Address"), row.origin)
    if row.account:
        yield Fact(_("Account"), row.account)
    yield Fact(_("Secret"), _secret(row))
    if row.config:
        yield Fact(_("Settings"), lines_of(row.config).replace("\n", ", "))
    yield Fact(_("Last test"), row.checked_at or _("never"))
    if row.check_version:
        yield Fact(_("Version"), row.check_version)


def _secret(row: Connection) -> Words:
    if row.secret_box is None:
        return _("none")
    return Sentence(mark("ends in %(last)s"), {"last": row.secret_last4}) if row.secret_last4 else _("sealed")


def _lines(row: Connection) -> Iterable[Item]:
    for line in row.check_lines:
        yield Item(Sentence(line["text"], line["parts"]))


def _uses(row: Connection) -> Iterable[Item]:
    for one in row.bindings.select_related("service", "environment"):
        words = {"service": one.service.name, "environment": one.environment.name}
        text = Sentence(mark("%(service)s in %(environment)s"), words)
        yield Item(text, PURPOSES[one.purpose], href=href("bindings", one.pk))
    for route in row.routes.select_related("service", "environment"):
        words = {"service": route.service.name, "environment": route.environment.name}
        text = Sentence(mark("%(service)s in %(environment)s"), words)
        yield Item(text, _("traffic is split"), href=href("routes", route.pk))


def _add(actor: Actor, values: Values, now: datetime) -> str:
    said = {**values, "kind": ConnectionKind(values["kind"]), "secret": values["secret"].strip() or None}
    row = services.connect(actor=actor, must_be_new=True, now=now, **said)
    checks.check(actor=actor, connection_id=row.pk, now=now)
    return str(row.pk)


def _described(key: str) -> Values:
    row = _found(key)
    return {"name": row.name, "origin": row.origin, "account": row.account, "config": lines_of(row.config)}


def _change(actor: Actor, key: str, values: Values, now: datetime) -> None:
    said = {**values, "secret": values["secret"].strip() or None}
    services.reconnect(actor=actor, connection_id=UUID(key), now=now, **said)


def _forget(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    row = _found(key)
    services.reconnect(
        actor=actor,
        connection_id=row.pk,
        name=row.name,
        origin=row.origin,
        account=row.account,
        secret="",
        now=now,
    )


def _test(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    checks.check(actor=actor, connection_id=UUID(key), now=now)


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.disconnect(actor=actor, connection_id=UUID(key), now=now)


SECTION = Section(
    slug="connections",
    word=_("Connections"),
    note=_("Ways to Jenkins, Kubernetes, Prometheus and health addresses, each with its secret."),
    group="wires",
    right=Right.CATALOG_EDIT,
    columns=(_("Connection"), _("System"), _("Uses"), _("Last test")),
    entries=_entries,
    thing=_thing,
    empty=_("Add the first one: where your jobs run, or where your services run."),
    search=_("Name, system or address"),
    add_word=_("Add a connection"),
    form=NewConnectionForm,
    add=_add,
    added=_("Added and tested. Read what was found."),
    acts=(
        Act("test", _("Test it now"), _test, done=_("It was tested. Read what was found.")),
        Act("edit", _("Edit"), _change, form=ConnectionForm, initial=_described),
        Act(
            "forget",
            _("Forget the secret"),
            _forget,
            confirm=_("From now on calls go there without it."),
            tone="stop",
            done=_("The secret is forgotten."),
        ),
        Act(
            "remove",
            _("Remove the connection"),
            _remove,
            confirm=_("Its secret is forgotten. A connection that something uses cannot be removed."),
            tone="stop",
            goes_back=True,
            done=_("The connection is removed."),
        ),
    ),
)
