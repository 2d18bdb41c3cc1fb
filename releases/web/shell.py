"""What stands around every page: where one can go, who one is, and what waits there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.audit.actor import Actor
from releases.web.looks import Words


@dataclass(frozen=True, slots=True)
class Count:
    """How much waits at a place; a sign and a tone when it moves."""

    number: int
    tone: str = ""
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the rail at the left: its URL name, the key after ``g``, and whether a line stands before it."""

    name: str
    word: str | Promise
    key: str
    starts_group: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A place as it is printed."""

    place: Place
    href: str
    is_here: bool
    count: Count | None


@dataclass(frozen=True, slots=True)
class Hint:
    """The band of an installation that is being set up: how far it is, and what this person does next."""

    said: Words
    lacks: Words
    word: Words
    href: str
    all_href: str

    @property
    def path(self) -> str:
        """Return the page it leads to, without what its form begins with: there the band need not lead to it."""
        return self.href.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame of a page for one person."""

    links: tuple[Link, ...]
    person: str
    waiting: int
    hint: Hint | None = None


PLACES = (
    Place("today", _("Today"), "t"),
    Place("board", _("Board"), "b"),
    Place("changes", _("Changes"), "c"),
    Place("gate-log", _("Gate log"), "l", starts_group=True),
    Place("live", _("Live"), "v"),
    Place("traffic", _("Traffic"), "r"),
    Place("deployments", _("Deployments"), "d"),
    Place("audit", _("Audit"), "a"),
    Place("catalog", _("Catalog"), "k", starts_group=True),
    Place("settings", _("Settings"), "s"),
)

Counter = Callable[[Actor, datetime], Count | None]
COUNTS: dict[str, Counter] = {}
HINTS: dict[str, Callable[[Actor, datetime], Hint | None]] = {}


def shell(actor: Actor, *, here: str, now: datetime) -> Shell:
    """Return the frame for this person, standing at the place named ``here``."""
    counts = {name: count(actor, now) for name, count in COUNTS.items()}
    links = tuple(Link(place, reverse(place.name), place.name == here, counts.get(place.name)) for place in PLACES)
    today = counts.get("today")
    hint = HINTS[here](actor, now) if here in HINTS else None
    return Shell(links, actor.name, today.number if today else 0, hint)
