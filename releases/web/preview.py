"""What the New change page shows while somebody types: guards, reach, way back, clashes, deciders. Saves nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from releases.audit.actor import Actor
from releases.calendar import queries as calendar
from releases.calendar.rules import CalendarFacts
from releases.catalog import queries as catalog
from releases.catalog.cards import CustomerCard, EnvironmentCard, ServiceCard
from releases.catalog.rules import is_digest
from releases.changes import appraising, back
from releases.changes import queries as changes
from releases.changes.models import ChangeRequest
from releases.changes.rules import Facts, ItemFacts
from releases.changes.services import ChangeDraft, ItemDraft
from releases.changes.states import RUNNING, ChangeType, MigrationClass, State
from releases.committee import queries as committee
from releases.committee.rules import Member
from releases.core.errors import Missing, Refused, Sentence
from releases.core.words import mark
from releases.impact import rules as impact
from releases.web import lanes, looks, reach
from releases.web.looks import Fact, Line, Look, Words
from releases.web.tags import both, either, number

LEVEL_AT_LEAST = "low"
TAG = mark("Give the digest, sha256: and 64 hexadecimal figures: a tag can move to another artifact.")
WHERE_TO_MEND = {
    "title": "#title",
    "why": "#why",
    "items": "#items-0-service",
    "plan": "#plan",
    "evidence": "#tests_passed",
    "rollback_plan": "#backs",
    "window": "#starts_at",
    "window_ahead": "#starts_at",
    "twin": "#items-0-digest",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """Who may feel it."""

    graph: reach.Graph
    headline: Words
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """The proposed way back of one item."""

    title: Words
    look: Look
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """What is still missing, who feels it, and who will decide."""

    lines: tuple[Line, ...]
    done: int
    reach: Reach | None
    backs: tuple[Back, ...]
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


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of the form whose service and environment exist."""

    draft: ItemDraft
    service: ServiceCard
    environment: EnvironmentCard
    way: back.WayBack


def preview(draft: ChangeDraft, *, saved: ChangeRequest | None, actor: Actor, now: datetime) -> Ready:
    """Return everything the page shows beside the form; ``saved`` is the draft as last saved, if it is."""
    items = list(_known(draft.items))
    checks = changes.checklist(_facts(draft, items, saved, now))
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


def _known(drafts: Iterable[ItemDraft]) -> Iterable[_Item]:
    for draft in drafts:
        try:
            service, environment = catalog.service_named(draft.service), catalog.environment_named(draft.environment)
        except Missing:
            continue
        yield _Item(draft, service, environment, back.propose(service_id=service.id, environment_id=environment.id))


def _facts(draft: ChangeDraft, items: Sequence[_Item], saved: ChangeRequest | None, now: datetime) -> Facts:
    return Facts(
        now=now,
        type=ChangeType(draft.type),
        title=draft.title,
        why=draft.why,
        plan=draft.plan,
        items=tuple(_item_facts(item) for item in items),
        tests_passed=draft.tests_passed,
        tests_failed=draft.tests_failed,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
        twins=_twins(items, saved),
    )


def _item_facts(item: _Item) -> ItemFacts:
    digest = item.draft.back_digest or item.way.target_digest
    return ItemFacts(
        service=item.service.name,
        environment=item.environment.name,
        version=item.draft.version,
        digest=item.draft.digest,
        is_quarantined=catalog.is_quarantined(item.draft.digest),
        back_version=item.draft.back_version or item.way.target_version,
        back_digest=digest,
        back_is_quarantined=bool(digest) and catalog.is_quarantined(digest),
        migration_class=MigrationClass(item.draft.migration_class),
    )


def _twins(items: Sequence[_Item], saved: ChangeRequest | None) -> tuple[int, ...]:
    numbers: set[int] = set()
    for item in items:
        found = ChangeRequest.objects.filter(
            items__service_id=item.service.id,
            items__environment_id=item.environment.id,
            items__artifact__digest=item.draft.digest,
            state__in=[State.ASSESSING, State.AUTHORIZING, State.SCHEDULED, *RUNNING],
        )
        numbers.update(found.values_list("number", flat=True))
    return tuple(sorted(numbers - ({saved.number} if saved else set())))


def _reach(items: Sequence[_Item]) -> Reach | None:
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
    headline = (
        Sentence(mark("%(n)s other services may feel it"), {"n": feels})
        if feels
        else Sentence(mark("No other service is known to call it"))
    )
    return Reach(graph, headline, tuple(facts))


def _segments(customers: Iterable[CustomerCard]) -> list[str]:
    return sorted({one.segment for one in customers})


def _back(item: _Item) -> Back:
    version = item.draft.back_version or item.way.target_version
    parts = {"service": item.service.name, "version": version, "where": item.environment.name}
    if not version:
        title = Sentence(mark("%(service)s in %(where)s"), parts)
        why = Line("stop", "✕", _("Nothing is known to run there: name the version to go back to."))
        return Back(title, looks.PROOFS["impossible"], (why,))
    lines = [Line("go", "✓", Sentence(mark("Redeploy %(version)s"), parts), detail=str(item.way.job.get("job", "")))]
    if not item.way.job:
        lines = [Line("wait", "◔", _("No job is known that deploys it"), detail=_("bind a connection in the catalog"))]
    weights: Mapping[str, int] = item.way.traffic_snapshot.get("weights", {})
    if weights:
        told = ", ".join(f"{name} {weight} %" for name, weight in weights.items())
        lines.insert(0, Line("go", "✓", Sentence(mark("All traffic back to %(version)s"), parts), detail=told))
    lines.append(looks.MIGRATIONS[item.draft.migration_class])
    worst = "impossible" if any(line.tone == "stop" for line in lines) else "assumed"
    return Back(
        Sentence(mark("%(service)s in %(where)s back to %(version)s"), parts), looks.PROOFS[worst], tuple(lines)
    )


def _lanes(
    draft: ChangeDraft, items: Sequence[_Item], saved: ChangeRequest | None, now: datetime
) -> tuple[lanes.Lanes | None, Words]:
    if draft.starts_at is None or draft.ends_at is None or draft.ends_at <= draft.starts_at or not items:
        return None, ""
    mine = (draft.starts_at, draft.ends_at)
    found = calendar.constraints(
        places=[(item.service.id, item.environment.id) for item in items],
        starts_at=mine[0],
        ends_at=mine[1],
        now=now,
        subject=saved.pk if saved else UUID(int=0),
    )
    drawn = lanes.lay_out(
        mine=mine,
        opens=[(one.starts_at, one.ends_at) for one in found.opens],
        freezes=[(one.starts_at, one.ends_at) for one in found.freezes],
        booked=[(one.starts_at, one.ends_at) for one in found.conflicts],
    )
    return drawn, _clash(found)


def _clash(found: CalendarFacts) -> Words:
    if found.freezes:
        parts = {"title": found.freezes[0].title, "until": found.freezes[0].ends_at}
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


def _deciders(draft: ChangeDraft, items: Sequence[_Item], level: str, actor: Actor) -> tuple[tuple[Line, ...], Words]:
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
