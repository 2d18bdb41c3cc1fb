"""Forms of the settings: fields as data for one template, and what somebody else changed meanwhile."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from types import MappingProxyType
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from releases.audit.actor import Actor
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark
from releases.web.looks import Words
from releases.web.tags import say

INPUT_MOMENT = "%Y-%m-%dT%H:%M"
WAS = "was-"
Choices = Sequence[tuple[str, Words]]


def no_hidden(text: str) -> None:
    """Refuse what nobody sees: control and direction signs let one name look like another.

    :raises ValidationError: there is such a sign
    """
    if any(not letter.isprintable() and letter not in "\r\n\t" for letter in text):
        raise ValidationError(_("There are signs in it that nobody sees. Type it again by hand."))


class SecretArea(forms.Textarea):
    """Several lines that nobody is to see again: they are never printed, and never stand in an address."""


SECRET = (forms.PasswordInput, SecretArea)


class Text(forms.CharField):
    """One line, or several with a textarea, without hidden signs."""

    default_validators = [no_hidden]


@dataclass(frozen=True, slots=True)
class Input:
    """One field, ready to print; ``kind`` is the type of an input, or textarea, select, many, check."""

    name: str
    kind: str
    label: Words
    value: str
    values: tuple[str, ...] = ()
    options: tuple[tuple[str, Words], ...] = ()
    hint: Words = ""
    errors: tuple[str, ...] = ()
    is_optional: bool = False
    is_code: bool = False
    maxlength: str = ""
    list: str = ""
    was: str | None = None


class SettingForm(forms.Form):
    """The shape of one form; what it means is checked by the service.

    ``about`` is the id of the thing, empty when one is added, ``actor`` who looks, ``read`` what returns how the thing
    is; :meth:`prepare` fills choices.
    ``filled`` is what an address asks the fields to begin with; never a secret. A field named in ``code`` is spelled,
    not written: no spelling help. ``lists`` names what a field is chosen from, where the page has such a list.
    """

    code: frozenset[str] = frozenset()
    lists: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        actor: Actor,
        read: Callable[[], Mapping[str, Any]] = dict,
        about: str = "",
        filled: QueryDict | None = None,
    ) -> None:
        """Keep what the form is about, then fill the choices."""
        super().__init__(data, initial=dict(read()))
        self.about, self.actor, self.read = about, actor, read
        self.filled = filled or QueryDict()
        self.prepare()

    def prepare(self) -> None:
        """Fill the choices of selects; nothing here."""

    def offer(self, name: str, choices: Choices) -> None:
        """Set what a select or a group of boxes offers."""
        field = cast(forms.ChoiceField, self.fields[name])
        field.choices = [(value, say(word)) for value, word in choices]

    def unchanged(self) -> None:
        """Ask whether what was posted stands on what is there now; for the service, under the lock of the row.

        :raises Invalid: with the fields that somebody else changed since the form was opened, and what each is now
        """
        now = {name: as_text(value) for name, value in self.read().items()}
        others = {name: value for name, value in now.items() if self.data.get(WAS + name, value) != value}
        if others:
            sentence = mark("Somebody changed this while you looked: it is “%(now)s” now. Check it, then save again.")
            fields = {name: [Sentence(sentence, {"now": value or "—"})] for name, value in others.items()}
            raise Invalid(Sentence(mark("Somebody changed this while you looked.")), fields=fields)

    def take(self, error: Invalid) -> bool:
        """Show what the service says under the fields it names; ``True`` when every one of them is here."""
        for name, many in error.fields.items():
            if name in self.fields:
                for one in many:
                    self.add_error(name, say(one))
        return bool(error.fields) and set(error.fields) <= set(self.fields)

    def typed(self) -> str:
        """Return what was posted as the query of an address; secrets are left out."""
        posted = cast(QueryDict, self.data)
        plain = [name for name, field in self.fields.items() if not isinstance(field.widget, SECRET)]
        return urlencode([(name, one) for name in plain for one in posted.getlist(name)])

    def inputs(self) -> Iterator[Input]:
        """Return the fields as the template prints them."""
        for name, field in self.fields.items():
            secret = isinstance(field.widget, SECRET)
            many = isinstance(field, forms.MultipleChoiceField)
            asked = self.filled.getlist(name) if not secret else []
            typed = (asked if many else asked[-1]) if asked else self[name].value()
            yield Input(
                name=name,
                kind=_kind(field),
                label=field.label or name,
                value="" if secret or many else _printed(typed),
                values=tuple(str(one) for one in typed or ()) if many else (),
                options=tuple((str(value), word) for value, word in getattr(field, "choices", ())),
                hint=field.help_text,
                errors=tuple(str(one) for one in self.errors.get(name, ())),
                is_optional=not field.required and not isinstance(field, forms.BooleanField),
                is_code=name in self.code,
                maxlength=str(getattr(field, "max_length", None) or ""),
                list=self.lists.get(name, ""),
                was=as_text(self.initial[name]) if name in self.initial and not secret else None,
            )


def as_text(value: object) -> str:
    """Return a value as one text, to hold it against what it was when the form was opened."""
    if isinstance(value, list | tuple | set | frozenset):
        return json.dumps(sorted(str(one) for one in value), ensure_ascii=False)
    return _printed(value)


def _printed(value: object) -> str:
    if isinstance(value, datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value  # Django made it local for the form
        return local.strftime(INPUT_MOMENT)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    return "" if value is None else str(value)


def _kind(field: forms.Field) -> str:
    kinds: tuple[tuple[type[forms.Field], str], ...] = (
        (forms.MultipleChoiceField, "many"),
        (forms.ChoiceField, "select"),
        (forms.BooleanField, "check"),
        (forms.DateTimeField, "datetime-local"),
        (forms.DateField, "date"),
        (forms.TimeField, "time"),
        (forms.IntegerField, "number"),
        (forms.URLField, "url"),
    )
    if isinstance(field.widget, forms.Textarea):
        return "textarea"
    if isinstance(field.widget, forms.PasswordInput):
        return "password"
    if isinstance(field, forms.EmailField):
        return "email"
    return next((kind for one, kind in kinds if isinstance(field, one)), "text")
