"""Changes: find one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.web import looks
from releases.web.answer import page, part
from releases.web.looks import Chip, Look
from releases.web.request import Request, signed_in

NUMBER = re.compile(r"(?:CHG-)?(\d{1,9})", re.IGNORECASE)
FILTERS = ("state", "level", "service", "environment", "mine", "q", "before")
CHIPS = (
    State.DRAFT,
    State.AUTHORIZING,
    State.SCHEDULED,
    State.IMPLEMENTING,
    State.WATCHING,
    State.ROLLING_BACK,
    State.REVIEWING,
    State.CLOSED,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One change in the list."""

    name: str
    title: str
    href: str
    requester: str
    services: str
    environments: str
    state: Look
    risk: Look | None
    starts_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    rows: tuple[Row, ...]
    chips: tuple[Chip, ...]
    search: str
    total: int
    older: str = ""


def row_of(card: queries.ChangeCard) -> Row:
    """Return one change ready for a list."""
    return Row(
        name=card.name,
        title=card.title,
        href=reverse("change", args=[card.number]),
        requester=card.requester,
        services=_list(item.service for item in card.items),
        environments=_list(item.environment for item in card.items),
        state=looks.OUTCOMES[card.outcome] if card.state == State.CLOSED and card.outcome else looks.STATES[card.state],
        risk=looks.RISKS[card.level] if card.level else None,
        starts_at=card.starts_at,
        updated_at=card.updated_at,
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


@require_GET
@signed_in
def changes(request: Request) -> HttpResponse:
    """List the changes that match the filters in the address."""
    require(request.actor, Right.CHANGE_READ)
    asked = {name: request.GET[name][:120] for name in FILTERS if request.GET.get(name)}
    if found := NUMBER.fullmatch(asked.get("q", "").strip()):
        return HttpResponseRedirect(reverse("change", args=[int(found[1])]))
    before = asked.get("before", "")
    some = queries.page(
        states=(asked["state"],) if asked.get("state") in set(State) else (),
        service=asked.get("service", ""),
        environment=asked.get("environment", ""),
        level=asked.get("level", ""),
        requester_id=request.actor.person_id if "mine" in asked else None,
        before=int(before) if before.isdecimal() else None,
        search=asked.get("q", "").strip(),
    )
    counts = dict(ChangeRequest.objects.values_list("state").annotate(Count("pk")).order_by())
    context = Changes(
        rows=tuple(row_of(card) for card in some.cards),
        chips=_chips(asked, counts),
        search=asked.get("q", ""),
        total=sum(counts.values()),
        older=_address({**asked, "before": str(some.next_before)}) if some.next_before else "",
    )
    if request.GET.get("part") == "rows":
        return part(request, "changes/changes.html#rows", {"changes": context})
    return page(request, "changes/changes.html", {"changes": context}, here="changes")


def _address(asked: dict[str, str]) -> str:
    return f"{reverse('changes')}?{urlencode(asked)}" if asked else reverse("changes")


def _chips(asked: dict[str, str], counts: dict[str, int]) -> tuple[Chip, ...]:
    """Return one chip per state that has changes, and one for each other filter that is on."""
    state = asked.get("state", "")
    kept = {name: value for name, value in asked.items() if name not in {"state", "before"}}
    mine = {name: value for name, value in asked.items() if name not in {"mine", "before"}}
    chips = [Chip(_("All"), _address(kept), sum(counts.values()), is_on=not state)]
    for one in CHIPS:
        if counts.get(one):
            look, address = looks.STATES[one], _address({**kept, "state": one})
            chips.append(Chip(look.word, address, counts[one], look.tone, look.sign, is_on=one == state))
    is_mine = "mine" in asked
    chips.append(Chip(_("Asked by me"), _address(mine if is_mine else {**mine, "mine": "1"}), is_on=is_mine))
    for name in ("service", "environment", "level"):
        if name in asked:
            rest = {key: value for key, value in asked.items() if key not in {name, "before"}}
            chips.append(Chip(f"{asked[name]} ✕", _address(rest), is_on=True))
    return tuple(chips)


urlpatterns = [path("changes", changes, name="changes")]
