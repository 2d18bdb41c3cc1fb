"""How somebody wants to hear, as a form: for one's own notices and for channels."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.core.errors import Sentence
from releases.notify import rules
from releases.notify.kinds import Digest, Topic
from releases.notify.models import Subscription
from releases.notify.services import Wanted
from releases.web.pages.settings.form import SettingForm, Text

DIGESTS: Mapping[Digest, str | Promise] = {
    Digest.AT_ONCE: _("At once"),
    Digest.QUARTER: _("Gathered, every quarter of an hour"),
    Digest.HOUR: _("Gathered, every hour"),
    Digest.DAY: _("Gathered, every morning at nine"),
}


class WantedForm(SettingForm):
    """Which topics, how gathered, and the hours in which nothing that can wait is sent."""

    code = frozenset({"time_zone"})
    topics = forms.MultipleChoiceField(required=False, label=_("What to tell"))
    digest = forms.ChoiceField(label=_("When"))
    quiet_from = forms.TimeField(required=False, label=_("Quiet from"))
    quiet_until = forms.TimeField(
        required=False, label=_("Quiet until"), help_text=_("Pages and releases that go wrong come at any hour.")
    )
    time_zone = Text(max_length=64, required=False, label=_("Time zone"))

    def prepare(self) -> None:
        """Offer every topic that may be left out, and the ways to gather."""
        self.offer("topics", [(topic.value, Sentence(rules.MANNERS[topic].title)) for topic in self.topics_offered()])
        self.offer("digest", [(one.value, word) for one, word in DIGESTS.items()])
        self.fields["time_zone"].help_text = _("Left empty: %(zone)s") % {"zone": settings.TIME_ZONE}

    def topics_offered(self) -> tuple[Topic, ...]:
        """Return the topics one can choose from."""
        return rules.at_choice()


def wanted_of(given: Mapping[str, Any]) -> Wanted:
    """Return the choice that a valid form carries."""
    return Wanted(
        topics=frozenset(Topic(one) for one in given["topics"]),
        digest=Digest(given["digest"]),
        quiet_from=given["quiet_from"],
        quiet_until=given["quiet_until"],
        time_zone=given["time_zone"],
    )


def chosen(row: Subscription | None) -> dict[str, Any]:
    """Return a choice as the form shows it; without one, everything at once."""
    if row is None:
        everything = [topic.value for topic in rules.at_choice()]
        return {"topics": everything, "digest": Digest.AT_ONCE.value}
    return {
        "topics": row.topics,
        "digest": row.digest,
        "quiet_from": row.quiet_from,
        "quiet_until": row.quiet_until,
        "time_zone": row.time_zone,
    }
