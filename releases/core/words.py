"""Mark sentences for translation in modules that must not know Django."""

from collections.abc import Mapping
from typing import NamedTuple


class Forms(NamedTuple):
    """The other form of a sentence, for any number but one, and which of its parts is that number."""

    many: str
    by: str


_FORMS: dict[str, Forms] = {}


def mark(text: str) -> str:
    """Return the text unchanged; import it as ``_`` so that makemessages collects what it wraps."""
    return text


def plural(one: str, many: str, *, by: str) -> str:
    """Return ``one``, which from now on stands for both forms; the part called ``by`` says which is meant.

    Say it where the module is read, not inside a function: a sentence that was kept by its text finds its other form
    in every process this way.
    """
    _FORMS[one] = Forms(many, by)
    return one


def counted(text: str, parts: Mapping[str, object]) -> tuple[str, int] | None:
    """Return the other form of a sentence and the number that decides; ``None`` when it has one form only."""
    forms = _FORMS.get(text)
    if forms is None:
        return None
    number = str(parts.get(forms.by, ""))
    return forms.many, int(number) if number.isdecimal() else 0
