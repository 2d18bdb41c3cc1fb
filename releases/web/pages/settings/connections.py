"""Connections: ways to outside systems, their secrets that only go in, and how their last test ended."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog import kubeconfig, services
from releases.catalog.credentials import pem_of
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.catalog.rules import AUTHORITY
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.setup import checks
from releases.traffic import rights
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SecretArea, SettingForm, Text
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

    code = frozenset(
        {"name", "origin", "account", "secret", "client_certificate", "authority", "kubeconfig", "context", "config"}
    )
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    kubeconfig = forms.CharField(
        required=False,
        max_length=kubeconfig.LARGEST,
        label=_("Kubeconfig"),
        help_text=_(
            "Kubernetes: the output of kubectl config view --raw --flatten --minify fills in address, authority and "
            "secret. It is read once and not kept."
        ),
        widget=SecretArea,
    )
    context = Text(
        required=False,
        max_length=250,
        label=_("Context"),
        help_text=_("Of the kubeconfig, where it has several; empty is its current one."),
    )
    origin = Text(
        required=False,
        max_length=250,
        label=_("Address"),
        help_text=_("https://host:port. Another address asks for the secret anew."),
    )
    account = Text(
        required=False,
        max_length=120,
        label=_("Account"),
        help_text=_(
            "Jenkins: the user the API token belongs to. Spinnaker: the user of a password, empty for a token."
        ),
    )
    secret = forms.CharField(
        required=False,
        max_length=8000,
        label=_("Secret"),
        help_text=_("A token of the other system. It is sealed and never shown again; left empty it stays as it is."),
        widget=forms.PasswordInput,
    )
    client_certificate = forms.CharField(
        required=False,
        max_length=40_000,
        label=_("Client certificate"),
        help_text=_(
            "Where the other side wants one: the certificate and below it its key, as PEM. Sealed like the secret."
        ),
        widget=SecretArea,
    )
    authority = Text(
        required=False,
        max_length=200_000,
        label=_("Authority"),
        help_text=_("Certificates of a private authority, as PEM: they are trusted instead of the public ones."),
        widget=forms.Textarea,
    )
    config = Pairs(
        label=_("Settings"),
        help_text=_(
            "One name: value in each line; usually none, and never a secret. Kubernetes: sign_in: in_cluster takes the "
            "service account of the pod. Kong: workspace. APISIX: control, the Control APIs of its nodes."
        ),
    )


class NewConnectionForm(ConnectionForm):
    """A new connection."""

    kind = forms.ChoiceField(label=_("System"))
    field_order = ("name", "kind")

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
            Block(_("What must be mended"), tuple(_lines(row)), empty=_found_nothing(row)),
            *_met(row),
            *_role(row),
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
    if row.config.get(AUTHORITY):
        yield Fact(_("Authority"), _("its own"))
    if said := _pairs(row):
        yield Fact(_("Settings"), said.replace("\n", ", "))
    yield Fact(_("Last test"), row.checked_at or _("never"))
    if row.check_version:
        yield Fact(_("Version"), row.check_version)


def _secret(row: Connection) -> Words:
    if row.secret_box is None:
        return _("none")
    return Sentence(mark("ends in %(last)s"), {"last": row.secret_last4}) if row.secret_last4 else _("sealed")


def _lines(row: Connection, *, facts: bool = False) -> Iterable[Item]:
    for line in row.check_lines:
        if line.get("is_fact", False) is facts:
            yield Item(Sentence(line["text"], line["parts"]))


def _met(row: Connection) -> Iterable[Block]:
    if met := tuple(_lines(row, facts=True)):
        yield Block(_("What the last test met there"), met)


def _role(row: Connection) -> Iterable[Block]:
    """Give the smallest role for the routes of a cluster, to be applied there."""
    if bound := checks.bound_in_a_cluster(row):
        note = _("For the namespaces of its routes, and nothing else. Apply it with kubectl apply -f -.")
        yield Block(_("The rights it needs"), empty=note, code=rights.manifest(bound))


def _uses(row: Connection) -> Iterable[Item]:
    for one in row.bindings.select_related("service", "environment"):
        words = {"service": one.service.name, "environment": one.environment.name}
        text = Sentence(mark("%(service)s in %(environment)s"), words)
        yield Item(text, PURPOSES[one.purpose], href=href("bindings", one.pk))
    for route in row.routes.select_related("service", "environment"):
        words = {"service": route.service.name, "environment": route.environment.name}
        text = Sentence(mark("%(service)s in %(environment)s"), words)
        yield Item(text, _("traffic is split"), href=href("routes", route.pk))


def _pairs(row: Connection) -> str:
    return lines_of({name: value for name, value in row.config.items() if name != AUTHORITY})


def _said(values: Values) -> dict[str, Any]:
    """Return what the form says in the words of the service; a kubeconfig says most of it.

    :raises Invalid: the kubeconfig says something that cannot be taken
    """
    said: dict[str, Any] = {name: values[name] for name in ("name", "origin", "account", "config")}
    typed = {name: values[name].strip() or None for name in ("secret", "client_certificate", "authority")}
    if pasted := values["kubeconfig"].strip():
        access = kubeconfig.read(pasted, context=values["context"])
        said |= {"origin": access.origin, "config": {**said["config"], "context": access.context}}
        held = access.credentials
        typed = {"secret": held.token, "client_certificate": held.certificate, "authority": access.authority}
    if authority := typed.pop("authority"):
        said["config"] = {**said["config"], AUTHORITY: pem_of(authority) or authority}
    return {**said, **typed}


def _add(actor: Actor, values: Values, now: datetime) -> str:
    kind = ConnectionKind(values["kind"])
    row = services.connect(actor=actor, kind=kind, must_be_new=True, now=now, **_said(values))
    checks.check(actor=actor, connection_id=row.pk, now=now)
    return str(row.pk)


def _described(key: str) -> Values:
    row = _found(key)
    authority = row.config.get(AUTHORITY, "")
    return {
        "name": row.name,
        "origin": row.origin,
        "account": row.account,
        "authority": authority,
        "config": _pairs(row),
    }


def _change(actor: Actor, key: str, values: Values, now: datetime) -> None:
    unchanged = values["unchanged"]
    services.reconnect(actor=actor, connection_id=UUID(key), now=now, unchanged=unchanged, **_said(values))


def _forget(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    row = _found(key)
    services.reconnect(
        actor=actor,
        connection_id=row.pk,
        name=row.name,
        origin=row.origin,
        account=row.account,
        secret="",
        client_certificate="",
        now=now,
    )


def _test(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    checks.check(actor=actor, connection_id=UUID(key), now=now)


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.disconnect(actor=actor, connection_id=UUID(key), now=now)


SECTION = Section(
    slug="connections",
    word=_("Connections"),
    note=_("Ways to Jenkins, Spinnaker, Kubernetes, gateways, Prometheus and health addresses, each with its secret."),
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
