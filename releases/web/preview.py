"""What the New change page shows while somebody types: guards, reach, way back, clashes, deciders. Saves nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from releases.audit.actor import Actor
from releases.calendar import queries as calendar
from releases.calendar.rules import CalendarFacts
from releases.catalog import queries as catalog
from releases.catalog.cards import CustomerCard
from releases.catalog.rules import is_digest
from releases.changes import appraising
from releases.changes import queries as changes
from releases.changes.back import splits_of
from releases.changes.drafts import KnownItem
from releases.changes.models import ChangeRequest
from releases.changes.services import ChangeDraft
from releases.changes.states import ChangeType
from releases.committee import queries as committee
from releases.committee.rules import Member
from releases.core.errors import Refused, Sentence
from releases.core.words import mark, plural
from releases.impact import rules as impact
from releases.web import lanes, looks, reach
from releases.web.looks import Fact, Line, Look, Words
from releases.web.tags import both, either, number
from releases.web.ways_back import WayBack, way_back

LEVEL_AT_LEAST = "low"
TAG = mark("Give the digest, sha256: and 64 hexadecimal figures: a tag can move to another artifact.")
WHERE_TO_MEND = {
    "title": "#title",
    "why": "#why",
    "items": "#items-0-service",
    "plan": "#plan",
    "evidence": "#tests_passed",
    "rollback_plan": "#items-0-back_version",
    "window": "#starts_at",
    "window_ahead": "#starts_at",
    "twin": "#items-0-digest",
}

MAY_FEEL_IT = plural("%(n)s other service may feel it", "%(n)s other services may feel it", by="n")


@dataclass(frozen=True, slots=True)
class Reach:
    """Who may feel it."""

    graph: reach.Graph
    headline: Words
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """What is still missing, who feels it, and who will decide."""

    lines: tuple[Line, ...]
    done: int
    reach: Reach | None
    backs: tuple[WayBack, ...]
    lanes: lanes.Lanes | None
    clash: Words
    risk: Look | None
    deciders: tuple[Line, ...]
    deciders_note: Words

    @property
    def total(self) -> int:
        """Return how many checks there are."""
        return len(self.lines)

    @property
    def missing(self) -> int:
        """Return how many checks still fail."""
        return self.total - self.done


def preview(draft: ChangeDraft, *, saved: ChangeRequest | None, actor: Actor, now: datetime) -> Ready:
    """Return everything the page shows beside the form; ``saved`` is the draft as last saved, if it is."""
    items, _unknown = changes.known_items(draft.items)
    checks = changes.checklist(changes.draft_facts(draft, items, saved=saved, now=now))
    tag = _first_tag(draft)
    lines = tuple(tag if tag and check.code == "items" and check.holds else _line(check) for check in checks)
    drawn, clash = _lanes(draft, items, saved, now)
    risk, level = _risk(saved, now)
    deciders, note = _deciders(draft, items, level, actor)
    return Ready(
        lines=tuple(sorted(lines, key=lambda line: line.tone == "go")),
        done=sum(line.tone == "go" for line in lines),
        reach=_reach(items),
        backs=tuple(_back(item) for item in items),
        lanes=drawn,
        clash=clash,
        risk=risk,
        deciders=deciders,
        deciders_note=note,
    )


def _first_tag(draft: ChangeDraft) -> Line | None:
    """Return what is wrong with the first item that names no digest: the guards look at what can be saved only."""
    for index, item in enumerate(draft.items):
        if not is_digest(item.digest):
            return Line("stop", "✕", Sentence(TAG), href=f"#items-{index}-digest")
    return None


def _line(check: changes.Check) -> Line:
    if check.holds:
        return Line("go", "✓", Sentence(check.title))
    return Line("stop", "✕", check.sentence or "", href=WHERE_TO_MEND.get(check.code, ""))


def _reach(items: Sequence[KnownItem]) -> Reach | None:
    if not items:
        return None
    ids = {item.service.id for item in items}
    found = catalog.dependents(ids)
    graph = reach.lay_out(
        touched=[item.service.name for item in items],
        direct=[one.name for one in found.direct],
        indirect=[one.name for one in found.indirect],
        edges=[(edge.caller, edge.callee) for edge in found.edges],
    )
    feels = len(found.direct) + len(found.indirect)
    customers = catalog.customers_of([*ids, *(one.id for one in (*found.direct, *found.indirect))])
    notice = max((one.notice_hours for one in customers), default=0)
    facts = [Fact(_("Customers"), number(sum(one.size for one in customers)), note=both(_segments(customers)))]
    if notice:
        facts.append(Fact(_("Notice"), Sentence(mark("%(n)s h before"), {"n": notice})))
    guesses = sum(not one.is_fact for one in (*found.direct, *found.indirect))
    if guesses:
        facts.append(Fact(_("Not confirmed"), Sentence(mark("%(n)s of them only by a hint"), {"n": guesses})))
    headline = Sentence(MAY_FEEL_IT, {"n": feels}) if feels else Sentence(mark("No other service is known to call it"))
    return Reach(graph, headline, tuple(facts))


def _segments(customers: Iterable[CustomerCard]) -> list[str]:
    return sorted({one.segment for one in customers})


def _back(item: KnownItem) -> WayBack:
    return way_back(
        service=item.service.name,
        where=item.environment.name,
        version=item.back_version,
        splits=tuple(splits_of(item.way.traffic_snapshot).values()),
        job=item.way.job.get("job", ""),
        migration_class=item.draft.migration_class,
    )


def _lanes(
    draft: ChangeDraft, items: Sequence[KnownItem], saved: ChangeRequest | None, now: datetime
) -> tuple[lanes.Lanes | None, Words]:
    if draft.starts_at is None or draft.ends_at is None or draft.ends_at <= draft.starts_at or not items:
        return None, ""
    mine = (draft.starts_at, draft.ends_at)
    found = calendar.constraints(
        places=[item.place for item in items],
        starts_at=mine[0],
        ends_at=mine[1],
        now=now,
        subject=saved.pk if saved else UUID(int=0),
        customers={one for many in catalog.customers_hurt(item.place for item in items).values() for one in many},
    )
    drawn = lanes.lay_out(
        mine=mine,
        opens=[(one.starts_at, one.ends_at) for one in found.opens],
        freezes=[(one.starts_at, one.ends_at) for one in found.freezes],
        booked=[(one.starts_at, one.ends_at) for one in found.conflicts],
    )
    return drawn, _clash(found, draft.starts_at)


def _clash(found: CalendarFacts, starts_at: datetime) -> Words:
    if found.freezes:
        parts = {"title": found.freezes[0].title, "until": found.freezes[0].ends_at, "opens": found.opens_at}
        if found.opens_at is not None and found.opens_at > starts_at:
            return Sentence(mark("A freeze lies over its beginning: %(title)s. The gate opens %(opens)s."), parts)
        return Sentence(mark("A freeze lies over it until %(until)s: %(title)s. The gate will refuse."), parts)
    if found.conflicts:
        numbers = [f"CHG-{one.number}" for one in found.conflicts]
        return Sentence(
            mark("It overlaps with %(names)s. You may submit; who booked first goes first."), {"names": numbers}
        )
    return Sentence(mark("No clash, no freeze."))


def _risk(saved: ChangeRequest | None, now: datetime) -> tuple[Look | None, str]:
    if saved is None or not saved.items.exists():
        return None, LEVEL_AT_LEAST
    appraisal = impact.assess(appraising.facts_of(saved, now=now), now)
    return looks.RISKS[appraisal.level], str(appraisal.level)


def _deciders(
    draft: ChangeDraft, items: Sequence[KnownItem], level: str, actor: Actor
) -> tuple[tuple[Line, ...], Words]:
    if draft.type == ChangeType.RETROACTIVE:
        return (), Sentence(mark("Nobody: it ran already. What follows is its review."))
    policy = committee.current_policy()
    if policy is None:
        return (), Sentence(mark("There is no policy yet: nobody could decide."))
    if not items:
        return (), Sentence(mark("Choose a service and where: who decides appears here."))
    kinds = {item.environment.kind for item in items}
    try:
        need = committee.required(policy, environment_kinds=kinds, level=level, change_type=draft.type)
    except Refused as error:
        return (), error.detail
    members = [one for one in committee.members().values() if one.id != actor.person_id]
    lines = tuple(
        Line("", str(people), looks.SEATS[seat], detail=_holders(members, seat), strong=True)
        for seat, people in need.seats.items()
    )
    if not lines:
        return (), Sentence(mark("Nobody: the policy pre-approves this."))
    return lines, Sentence(mark("Not you: you ask for it. The risk of what is saved counts, and the policy decides."))


def _holders(members: Iterable[Member], seat: str) -> str:
    return either(sorted(one.name for one in members if seat in one.seats))
