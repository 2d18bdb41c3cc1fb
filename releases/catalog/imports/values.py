"""What may stand in a field of an imported thing, in its one spelling. Pure."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from releases.accounts.rules import is_slug, one_line, visible
from releases.catalog.imports.said import Section
from releases.catalog.kinds import DataClass
from releases.core.errors import Sentence
from releases.core.words import mark as _

LARGEST_COUNT = 2**31 - 1
_SEPARATORS = re.compile(r"[|,;]")
_WHOLE = re.compile(r"[0-9]{1,10}")


class Unreadable(Exception):
    """A value is not what the field holds."""

    def __init__(self, sentence: Sentence) -> None:
        """Keep what is wrong with it, and how to mend it."""
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how a text becomes its value, and whether a new thing needs it."""

    read: Callable[[str], Any]
    must: bool = False


def plain(text: str) -> str:
    """Return a text in which nothing is hidden, and which no spreadsheet would carry out.

    :raises Unreadable: it holds a sign that nobody sees, or begins like a formula
    """
    if any(unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\n\r\t" for sign in text):
        raise Unreadable(Sentence(_("There is a sign in it that nobody can see: type the text again.")))
    begin = text.lstrip()
    if begin[:1] in {"=", "@"} or (begin[:1] in {"+", "-"} and not begin[1:2].isspace() and len(begin) > 1):
        raise Unreadable(Sentence(_("This begins like a formula (= + - @): write the text itself.")))
    return text


def name(text: str) -> str:
    """Return a name as it stands.

    :raises Unreadable: it is no name
    """
    if not is_slug(text):
        raise Unreadable(
            Sentence(_("A name has lower-case letters a to z, digits and hyphens only, up to 63 of them."))
        )
    return text


def text(most: int) -> Callable[[str], str]:
    """Return a reader of one line of so many characters."""

    def read(said: str) -> str:
        return _short(one_line(plain(said)), most)

    return read


def long_text(said: str) -> str:
    """Return a text of several lines.

    :raises Unreadable: it is too long, or hides something
    """
    return _short(visible(plain(said).replace("\r\n", "\n").replace("\t", " ")), 20_000)


def number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers between two."""

    def read(said: str) -> int:
        if _WHOLE.fullmatch(said) is None or not least <= int(said) <= most:
            sentence = _("Write a whole number from %(least)s to %(most)s.")
            raise Unreadable(Sentence(sentence, {"least": least, "most": most}))
        return int(said)

    return read


def names(said: str) -> list[str]:
    """Return names that stand in one cell, separated by | or by a comma or semicolon.

    :raises Unreadable: one of them is no name
    """
    return sorted({name(one.strip()) for one in _SEPARATORS.split(said) if one.strip()})


def data_classes(said: str) -> list[str]:
    """Return kinds of data that stand in one cell.

    :raises Unreadable: one of them is not known
    """
    found = names(said)
    for one in found:
        if one not in set(DataClass):
            parts = {"said": one, "known": ", ".join(DataClass)}
            raise Unreadable(Sentence(_("“%(said)s” is not one of them: %(known)s."), parts))
    return found


def _segment(said: str) -> str:
    return _short(name(said), 32)


def _short(said: str, most: int) -> str:
    if len(said) > most:
        raise Unreadable(Sentence(_("This is longer than %(most)s characters: shorten it."), {"most": most}))
    return said


# A thing of each section, as a list says it; the fields that name it come first.
FIELDS: Mapping[Section, Mapping[str, Field]] = {
    Section.SERVICES: {
        "name": Field(name, must=True),
        "team": Field(name),
        "title": Field(text(120)),
        "tier": Field(text(32)),
        "criticality": Field(number(1, 4)),
        "data_classes": Field(data_classes),
        "description": Field(long_text),
    },
    Section.DEPENDENCIES: {
        "caller": Field(name, must=True),
        "callee": Field(name, must=True),
        "detail": Field(text(250)),
    },
    Section.CUSTOMERS: {
        "name": Field(text(120), must=True),
        "segment": Field(_segment),
        "size": Field(number(0, LARGEST_COUNT)),
        "notice_hours": Field(number(0, LARGEST_COUNT)),
        "services": Field(names),
    },
}
