"""Channels: where notices go that many people read, and which of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.notify import queries, rules, services
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel
from releases.notify.services import ChannelDraft
from releases.web.looks import Fact, Look
from releases.web.pages.settings.form import Text
from releases.web.pages.settings.hearing import DIGESTS, WantedForm, chosen, wanted_of
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Shown, Thing, Values, uuid_of

KINDS: Sequence[tuple[ChannelKind, str]] = (
    (ChannelKind.SLACK, "Slack"),
    (ChannelKind.TEAMS, "Microsoft Teams"),
    (ChannelKind.WEBHOOK, "Webhook"),
    (ChannelKind.EMAIL, "E-mail"),
)
NAMES = dict(KINDS)
WORKS = Look("go", "✓", pgettext_lazy("channel", "Works"))
FAILS = Look("stop", "✕", pgettext_lazy("channel", "Fails"))
UNUSED = Look("", "○", pgettext_lazy("channel", "Not used yet"))
ONCE = _("Whoever receives our events verifies them with it. It is shown this once, and kept sealed.")
KEPT = _("Left empty it stays as it is.")


class ChannelForm(WantedForm):
    """A channel that exists; its kind stays."""

    code = frozenset({"name", "address", "secret", "time_zone"})
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    address = forms.CharField(
        max_length=2000, required=False, label=_("Address"), help_text=KEPT, widget=forms.PasswordInput
    )
    secret = forms.CharField(
        max_length=200,
        required=False,
        label=_("Secret"),
        help_text=_("Only for webhooks: whsec_… . Left empty it stays, or one is made and shown once."),
        widget=forms.PasswordInput,
    )
    team_id = forms.ChoiceField(required=False, label=_("Only services of"))
    language = forms.ChoiceField(required=False, label=_("Language"))
    field_order = ("name", "kind", "address", "secret", "topics", "team_id", "language")

    def prepare(self) -> None:
        """Offer teams and languages, too."""
        super().prepare()
        teams = ((str(pk), name) for pk, name in Team.objects.values_list("pk", "name"))
        self.offer("team_id", [("", _("every team")), *teams])
        self.offer("language", [("", _("as the installation")), *settings.LANGUAGES])

    def topics_offered(self) -> tuple[Topic, ...]:
        """Return every topic: a channel hears of pages only when it asks to."""
        return tuple(topic for topic in rules.MANNERS if topic is not Topic.TEST)


class NewChannelForm(ChannelForm):
    """A new channel."""

    kind = forms.ChoiceField(label=_("Kind"))
    address = forms.CharField(
        max_length=2000,
        label=_("Address"),
        help_text=_(
            "The whole address that Slack or Teams gave you, the URL of a webhook, or a mailbox. It is not shown."
        ),
        widget=forms.PasswordInput,
    )

    def prepare(self) -> None:
        """Offer the kinds, too."""
        super().prepare()
        self.offer("kind", [(kind.value, name) for kind, name in KINDS])


def _entries(search: str) -> Sequence[Entry]:
    return [_entry(row) for row in queries.channels(search)[: MOST + 1]]


def _entry(row: Channel) -> Entry:
    team = row.subscription.team
    cells = (NAMES[ChannelKind(row.kind)], team.title if team else _("every team"), row.heard_at or _("never"))
    return Entry(id=str(row.pk), name=row.name, note=_where(row), cells=cells, look=_look(row))


def _look(row: Channel) -> Look:
    return FAILS if row.last_error else WORKS if row.heard_at else UNUSED


def _where(row: Channel) -> str:
    hidden = row.kind in {ChannelKind.SLACK, ChannelKind.TEAMS}
    return row.address or (f"{row.origin}/…{row.secret_last4}" if hidden else f"{row.origin}{row.path}")


def _found(key: str) -> Channel:
    row = queries.channels().filter(pk=uuid_of(key)).first()
    if row is None:
        raise Missing(Sentence(mark("There is no such channel.")))
    return row


def _thing(key: str, _actor: Actor) -> Thing:
    row = _found(key)
    return Thing(
        name=row.name,
        headline=row.name,
        looks=(_look(row),),
        facts=tuple(_facts(row)),
        blocks=(Block(_("Hears"), tuple(_topics(row)), empty=_("Nothing. Choose what it is to hear.")),),
        streams=(row.stream,),
    )


def _facts(row: Channel) -> Iterable[Fact]:
    chosen_by = row.subscription
    yield Fact(_("Kind"), NAMES[ChannelKind(row.kind)])
    yield Fact(_("Address"), _where(row))
    if row.kind == ChannelKind.WEBHOOK:
        yield Fact(_("Secret"), Sentence(mark("ends in %(last)s"), {"last": row.secret_last4}))
        if row.previous_until_at:
            yield Fact(_("The one before signs until"), row.previous_until_at)
    yield Fact(_("Only services of"), chosen_by.team.title if chosen_by.team else _("every team"))
    yield Fact(_("When"), next(word for one, word in DIGESTS.items() if one == chosen_by.digest))
    if chosen_by.quiet_from and chosen_by.quiet_until:
        hours = f"{chosen_by.quiet_from:%H:%M} – {chosen_by.quiet_until:%H:%M}"
        yield Fact(_("Quiet hours"), hours, note=chosen_by.time_zone or settings.TIME_ZONE)
    yield Fact(_("Last arrived"), row.heard_at or _("never"))
    if row.last_error:
        yield Fact(_("Last error"), row.last_error)


def _topics(row: Channel) -> Iterable[Item]:
    for topic in row.subscription.topics:
        manner = rules.MANNERS[Topic(topic)]
        yield Item(Sentence(manner.title), detail=_("page") if manner.is_page else "")


def _draft(values: Values, kind: ChannelKind) -> ChannelDraft:
    return ChannelDraft(
        name=values["name"],
        kind=kind,
        address=values["address"].strip(),
        secret=values["secret"].strip(),
        language=values["language"],
        team_id=UUID(values["team_id"]) if values["team_id"] else None,
        wanted=wanted_of(values),
    )


def _add(actor: Actor, values: Values, now: datetime) -> str | Shown:
    fields = _draft(values, ChannelKind(values["kind"]))
    row, secret = services.open_channel(actor=actor, fields=fields, now=now)
    return _shown(row, secret) or str(row.pk)


def _change(actor: Actor, key: str, values: Values, now: datetime) -> Shown | None:
    fields = _draft(values, ChannelKind(_found(key).kind))
    row, secret = services.change_channel(
        actor=actor, channel_id=UUID(key), fields=fields, now=now, unchanged=values["unchanged"]
    )
    return _shown(row, secret)


def _shown(row: Channel, secret: str) -> Shown | None:
    title = Sentence(mark("The secret of %(name)s"), {"name": row.name})
    return Shown(str(row.pk), secret, title, ONCE) if secret else None


def _described(key: str) -> Values:
    row = _found(key)
    team = str(row.subscription.team_id) if row.subscription.team_id else ""
    return {"name": row.name, "team_id": team, "language": row.language, **chosen(row.subscription)}


def _try(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.try_channel(actor=actor, channel_id=uuid_of(key), now=now)


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_channel(actor=actor, channel_id=uuid_of(key), now=now)


SECTION = Section(
    slug="channels",
    word=_("Channels"),
    note=_("Where notices go that many people read: Slack, Teams, a webhook, a mailbox."),
    group="people",
    right=Right.CATALOG_EDIT,
    columns=(_("Channel"), _("Kind"), _("Only services of"), _("Last arrived")),
    entries=_entries,
    thing=_thing,
    empty=_("No channel yet. People are told by e-mail, and on their page of notices."),
    add_word=_("Add a channel"),
    form=NewChannelForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _change, form=ChannelForm, initial=_described),
        Act("test", _("Send a test"), _try, done=_("A test is on its way. Look here again in a moment.")),
        Act(
            "remove",
            _("Remove the channel"),
            _remove,
            confirm=_("Nothing is sent there any more, and its secret is forgotten. What was told there stays known."),
            tone="stop",
            goes_back=True,
            done=_("The channel is removed."),
        ),
    ),
    in_configuration=False,
)
