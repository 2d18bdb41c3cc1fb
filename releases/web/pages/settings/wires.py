"""What the sections of the catalogue have in common: its words, and its things as a form offers them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.catalog.kinds import ConnectionKind, Figure
from releases.catalog.models import Connection, Environment, Service
from releases.core import canonical
from releases.web.looks import Look, Words
from releases.web.names import ENVIRONMENTS as ENVIRONMENTS
from releases.web.names import PURPOSES as PURPOSES
from releases.web.names import SYSTEMS as SYSTEMS
from releases.web.pages.settings.form import no_hidden
from releases.web.pages.settings.words import NOBODY

FIGURES: Mapping[str, str | Promise] = {
    Figure.ERRORS.value: _("share of requests that fail"),
    Figure.SECONDS.value: _("seconds"),
    Figure.NUMBER.value: _("any number"),
}
RETIRED = Look("", "✕", pgettext_lazy("service", "Retired"))
Choices = list[tuple[str, Words]]


class Pairs(forms.CharField):
    """Settings as people write them: one ``name: value`` in each line; given and taken as a mapping.

    ``texts`` keeps every value a text; otherwise what reads as a number, true, false, a list or an object is one.
    """

    default_validators = [no_hidden]

    def __init__(self, *, texts: bool = False, **more: Any) -> None:
        """Be a textarea that may stay empty."""
        super().__init__(required=False, widget=forms.Textarea, max_length=5000, **more)
        self.texts = texts

    def clean(self, value: Any) -> dict[str, Any]:
        """Return the settings.

        :raises ValidationError: a line has no name, or a name stands twice
        """
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        found: dict[str, Any] = {}
        for line in lines:
            name, colon, said = (part.strip() for part in line.partition(":"))
            if not colon or not name or name in found:
                raise ValidationError(_("Write one name: value in each line, every name once."))
            found[name] = said if self.texts else _read(said)
        return found


def _read(said: str) -> Any:
    try:
        value = json.loads(said)
        canonical.encode(value)
    except (ValueError, RecursionError):  # no JSON, or more than our JSON can carry
        return said
    return said if isinstance(value, str) else value


def lines_of(settings: Mapping[str, Any]) -> str:
    """Return settings as :class:`Pairs` reads them."""
    said = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return "\n".join(f"{name}: {value}" for name, value in sorted(said.items()))


def services(*, keep: object = None) -> Choices:
    """Return the services that can be chosen: those in use, and the one that was chosen before."""
    rows = Service.objects.values_list("pk", "name", "retired_at")
    return [NOBODY, *((str(pk), name) for pk, name, retired in rows if retired is None or pk == keep)]


def environments() -> Choices:
    """Return the environments that can be chosen."""
    return [NOBODY, *((str(pk), name) for pk, name in Environment.objects.values_list("pk", "name"))]


def connections(kinds: Sequence[ConnectionKind] = tuple(ConnectionKind)) -> Choices:
    """Return the connections to these systems that can be chosen."""
    rows = Connection.objects.filter(kind__in=[one.value for one in kinds]).values_list("pk", "name", "kind")
    return [NOBODY, *((str(pk), f"{name} ({SYSTEMS[kind]})") for pk, name, kind in rows)]


def href(slug: str, key: object) -> str:
    """Return the page of one thing of a section."""
    return reverse("settings-one", args=[slug, key])
