"""A section of the settings is data: what its list shows, what the page of one shows, and what can be done to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SettingForm

MOST = 200  # rows of a list; a section slices its own table to one more than this, the search finds the rest

GROUPS: Mapping[str, str | Promise] = {
    "people": _("People and machines"),
    "wires": _("What we run"),
    "rules": _("Rules"),
}
SAVED, ADDED, BY_NAME, ADD = _("Saved."), _("Added."), _("Name"), _("Add")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a list: its name, a line under it, one cell for every further column, and how it stands."""

    id: str
    name: str
    cells: tuple[Words, ...]
    note: Words = ""
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One line on the page of one; ``verbs`` name acts offered beside it, ``fill`` what their forms begin with."""

    text: Words
    detail: Words = ""
    href: str = ""
    look: Look | None = None
    at: datetime | None = None
    verbs: tuple[str, ...] = ()
    fill: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """A titled list of lines; ``empty`` is said when there is none. ``code`` is a text below them, to be copied."""

    title: Words
    items: tuple[Item, ...] = ()
    empty: Words = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What the page of one shows. ``verbs`` are the acts that make sense now; ``refused`` says why one cannot be.

    The history is read from the audit record: the ``streams``, and single ``events`` of the streams of others.
    """

    name: str
    headline: Words
    facts: tuple[Fact, ...] = ()
    blocks: tuple[Block, ...] = ()
    streams: tuple[str, ...] = ()
    events: Sequence[audit.Entry] = ()
    looks: tuple[Look, ...] = ()
    verbs: frozenset[str] | None = None
    refused: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """A secret that is shown once, in the answer to the form itself; ``id`` is the thing it belongs to."""

    id: str
    secret: str
    title: Words
    note: Words = ""


Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to one thing: with a form, after a confirmation, or (with neither) at one press of a button.

    ``initial`` returns how the thing is: the form begins with that, and its values carry ``unchanged``, which the
    service asks under its lock. ``in_rows`` offers it only beside the lines that name it. ``right`` is the section's
    when left out. ``done`` is what the toast says afterwards; ``goes_back`` leads to the list, when the thing is gone.
    """

    verb: str
    word: str | Promise
    do: Callable[[Actor, str, Values, datetime], Shown | None]
    form: type[SettingForm] | None = None
    initial: Callable[[str], Values] | None = None
    confirm: Words = ""
    tone: str = ""
    right: Right | None = None
    in_rows: bool = False
    goes_back: bool = False
    done: str | Promise = SAVED

    def reader(self, key: str) -> Callable[[], Values]:
        """Return what reads how a thing is, each time it is called."""
        return partial(self.initial, key) if self.initial else dict


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of thing that is set up here; everybody may see it, ``right`` edits it (``None``: whoever signed in).

    ``aid`` is the template of what helps to fill the form in.
    ``entries`` takes the search text, ``thing`` and the acts take the id of a row; ``thing`` raises ``Missing``.
    """

    slug: str
    word: str | Promise
    note: str | Promise
    group: str
    right: Right | None
    columns: tuple[str | Promise, ...]
    entries: Callable[[str], Sequence[Entry]]
    thing: Callable[[str, Actor], Thing]
    empty: Words = ""
    search: str | Promise = BY_NAME
    add_word: str | Promise = ADD
    form: type[SettingForm] | None = None
    add: Callable[[Actor, Values, datetime], str | Shown] | None = None
    added: str | Promise = ADDED
    acts: tuple[Act, ...] = ()
    in_configuration: bool = True
    aid: str = ""

    def act(self, verb: str) -> Act:
        """Return the act of that name.

        :raises Missing: there is none
        """
        for one in self.acts:
            if one.verb == verb:
                return one
        raise Missing(Sentence(mark("There is no such act.")))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A page of the settings that is no list of things: it has a URL name and views of its own."""

    slug: str
    word: str | Promise
    note: str | Promise
    group: str
    url_name: str


def uuid_of(text: str) -> UUID:
    """Return the id that an address carries.

    :raises Missing: this is none
    """
    try:
        return UUID(text)
    except ValueError:
        raise Missing(Sentence(mark("There is no such thing."))) from None
