"""What the pages and the floors above read of the ledger, of what was seen, and of what drifted."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery

from releases.catalog import queries as catalog
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.operations.models import Step
from releases.operations.states import ACTIVE, OPEN
from releases.traffic import rules
from releases.traffic.facts import MOVERS
from releases.traffic.models import Drift, Observation, Shift, ShiftEnd
from releases.traffic.ports import Version
from releases.traffic.providers import object_of
from releases.traffic.states import ShiftState

RECENT = 50
LAST_ENDED = ("-ended_at", "-shift__asked_at", "-id")
Weights = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class ShiftCard:
    """One shift, ready to print; ``why`` says what went wrong, if anything did, ``reason`` why it went on in doubt.

    ``evidence`` is what was counted of the requests once it was confirmed, if anybody counted them.

    ``counted`` is what was asked as it counts: a weight that is to be absent counts as what the control plane takes.
    ``object`` is the vendor's, ``revision`` the one that stood before. ``ended_at`` is the last of its ends.
    """

    id: UUID
    route_id: UUID
    change_id: UUID | None
    operation_id: UUID | None
    request: str
    object: Mapping[str, str]
    service: str
    environment: str
    asked: Weights
    counted: Weights
    before: Weights
    revision: str
    observed: Weights
    state: ShiftState
    verification: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    why: Sentence | None
    evidence: Sentence | None
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What was asked of a route last and confirmed, and what stood there then: all that a restore needs.

    ``since`` was asked after it, sent and never confirmed: where that stands, it may be ours. What was refused is not.
    """

    shift: ShiftCard
    version: Version
    counted: Mapping[str, int]
    since: tuple[Weights, ...] = ()

    def is_met_by(self, weights: Mapping[str, int]) -> bool:
        """Say whether these weights, as they count, are what was asked for."""
        return any(rules.stands(weights, one) for one in (self.counted or self.shift.asked, *self.since))


@dataclass(frozen=True, slots=True)
class ObservationCard:
    """What stood on a route for a while, or ``why`` nobody could see it; see the table."""

    route_id: UUID
    weights: Mapping[str, int]
    revision: str
    owner: str
    writer: str
    written_at: datetime | None
    why: Sentence | None
    seen_by: str
    seen_at: datetime
    last_at: datetime
    looks: int


@dataclass(frozen=True, slots=True)
class DriftCard:
    """One drift: what was asked by whom, as it counts, what stands there instead since when, and who wrote that."""

    id: UUID
    route_id: UUID
    service_id: UUID
    service: str
    environment: str
    shift_id: UUID
    change_id: UUID | None
    asked: Weights
    asked_by: str
    observed: Mapping[str, int]
    owner: str
    consequence: Sentence | None
    writer: str
    written_at: datetime | None
    raised_at: datetime
    ended_at: datetime | None


def of_change(change_id: UUID) -> list[ShiftCard]:
    """Return every shift a change asked for, oldest first."""
    return [_card(row) for row in _rows().filter(change_id=change_id)]


def ledger(route_id: UUID, *, limit: int = RECENT) -> list[ShiftCard]:
    """Return the latest shifts of a route, newest first."""
    return [_card(row) for row in _rows().filter(route_id=route_id).order_by("-asked_at", "-id")[:limit]]


def latest() -> dict[UUID, ShiftCard]:
    """Return, by route, the shift that was confirmed last: what was refused or failed is not what is to stand there."""
    ends = ShiftEnd.objects.filter(shift__route_id=OuterRef("route_id"), state=ShiftState.CONFIRMED.value)
    newest = ends.order_by(*LAST_ENDED).values("shift_id")[:1]
    return {row.route_id: _card(row) for row in _rows().filter(pk=Subquery(newest))}


def unmade() -> dict[UUID, ShiftCard]:
    """Return, by route, the shift that ended last there, where it was refused, failed or waits for a person."""
    ends = ShiftEnd.objects.filter(shift__route_id=OuterRef("route_id")).order_by(*LAST_ENDED)
    found = (_card(row) for row in _rows().filter(pk=Subquery(ends.values("shift_id")[:1])))
    return {one.route_id: one for one in found if one.state is not ShiftState.CONFIRMED}


def of_key(op_key: str) -> ShiftCard | None:
    """Return the shift of one step, or ``None``."""
    row = _rows().filter(op_key=op_key).first()
    return _card(row) if row else None


def asked_of(route_id: UUID) -> Standing | None:
    """Return what was asked of the object that a route names now, or ``None`` when nothing of that was confirmed.

    :raises Missing: there is no such route
    """
    confirmed = ShiftEnd.objects.filter(shift__route_id=route_id, state=ShiftState.CONFIRMED.value)
    end = confirmed.order_by(*LAST_ENDED).first()
    if end is None:
        return None
    rows = _rows().filter(route_id=route_id)
    shift = _card(rows.get(pk=end.shift_id))
    if shift.object and not object_of(catalog.route(route_id)).items() <= shift.object.items():
        return None
    sent = Step.objects.filter(sent_at__isnull=False).order_by().values("op_key")  # a clear no takes the moment back
    later = rows.filter(asked_at__gt=shift.asked_at, op_key__in=sent).exclude(ends__state=ShiftState.CONFIRMED.value)
    version = Version(end.revision, end.uid, 0, end.fingerprint, end.after)
    return Standing(shift, version, end.counted, tuple(row.asked for row in later))


def confirmed_of(change_id: UUID, route_id: UUID) -> Mapping[str, int]:
    """Return the weights of a route, as they count, once the last shift of a change was confirmed; nothing of none."""
    ends = ShiftEnd.objects.filter(shift__change_id=change_id, shift__route_id=route_id)
    last = ends.filter(state=ShiftState.CONFIRMED.value).order_by(*LAST_ENDED).first()
    return last.counted if last else {}


def first_of(shift: ShiftCard) -> ShiftCard:
    """Return the first shift that the change of this one asked of the same route: before it, nothing had moved."""
    rows = _rows().filter(change_id=shift.change_id, route_id=shift.route_id)
    return _card(rows.order_by("asked_at", "id")[0])


def in_flight() -> set[UUID]:
    """Return the routes whose weights move now: not what waits for a person, nor what comes later."""
    now = {"operation__state__in": ACTIVE, "state__in": OPEN, "stage": F("operation__stage")}
    steps = Step.objects.filter(kind__in=MOVERS, **now).order_by()
    return {UUID(desired["route"]) for desired in steps.values_list("desired", flat=True)}


def work_on(routes: Collection[UUID]) -> set[UUID]:
    """Return the operations that have not ended and shift one of these routes, now or later."""
    steps = Step.objects.filter(kind__in=MOVERS, operation__state__in=ACTIVE).order_by()
    found = steps.values_list("operation_id", "desired")
    return {operation for operation, desired in found if UUID(desired["route"]) in routes}


def last_seen(route_ids: Collection[UUID] | None = None) -> dict[UUID, ObservationCard]:
    """Return, by route, the last look at it, whether it saw anything or not; of every route unless some are named."""
    newest = Observation.objects.filter(route_id=OuterRef("route_id")).order_by("-last_at", "-id").values("pk")[:1]
    rows = Observation.objects.filter(pk=Subquery(newest)).order_by()
    if route_ids is not None:
        rows = rows.filter(route_id__in=route_ids)
    return {row.route_id: _observed(row) for row in rows}


def observations(route_id: UUID, *, limit: int = RECENT) -> list[ObservationCard]:
    """Return what was seen of a route lately, newest first."""
    rows = Observation.objects.filter(route_id=route_id).order_by("-last_at", "-id")[:limit]
    return [_observed(row) for row in rows]


def drifts() -> list[DriftCard]:
    """Return every drift that nobody mended, the oldest first."""
    return _drifted(_drifts().filter(ended_at=None, route__service__retired_at=None))


def drifts_of(route_id: UUID, *, limit: int = RECENT) -> list[DriftCard]:
    """Return the latest drifts of a route, newest first."""
    return _drifted(_drifts().filter(route_id=route_id).order_by("-raised_at", "-id")[:limit])


def drift(drift_id: UUID) -> DriftCard:
    """Return one drift.

    :raises Missing: there is none, or it was forgotten
    """
    if found := _drifted(_drifts().filter(pk=drift_id)):
        return found[0]
    raise Missing(Sentence(_("There is no such drift.")))


def who_did_it(drift: DriftCard) -> Sentence:
    """Return who wrote what drifted and when, as far as the object tells."""
    parts = {"who": drift.writer, "at": drift.written_at}
    if drift.writer and drift.written_at:
        return Sentence(_("%(who)s wrote last, %(at)s."), parts)
    if drift.writer:
        return Sentence(_("%(who)s wrote last."), parts)
    return Sentence(_("The control plane does not tell who wrote last."))


def _rows() -> QuerySet[Shift]:
    return Shift.objects.select_related("route__service", "route__environment").prefetch_related("ends")


def _card(row: Shift) -> ShiftCard:
    ends = sorted(row.ends.all(), key=lambda one: one.turn)
    end = ends[-1] if ends else None
    state = ShiftState(end.state) if end else ShiftState.ASKED
    said = Sentence.from_json(end.detail) if end and end.detail else None
    return ShiftCard(
        id=row.pk,
        route_id=row.route_id,
        change_id=row.change_id,
        operation_id=row.operation_id,
        request=row.request,
        object=row.object,
        service=row.route.service.name,
        environment=row.route.environment.name,
        asked=row.asked,
        counted=_counted(row),
        before=row.before,
        revision=row.revision,
        observed=end.after if end else {},
        state=state,
        verification=end.verification if end else "",
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        ended_at=end.ended_at if end else None,
        why=None if state is ShiftState.CONFIRMED else said,
        evidence=said if state is ShiftState.CONFIRMED else None,
        reason=row.reason,
    )


def _observed(row: Observation) -> ObservationCard:
    return ObservationCard(
        route_id=row.route_id,
        weights=row.weights,
        revision=row.revision,
        owner=row.owner,
        writer=row.writer,
        written_at=row.written_at,
        why=Sentence.from_json(row.why) if row.why else None,
        seen_by=row.seen_by,
        seen_at=row.seen_at,
        last_at=row.last_at,
        looks=row.looks,
    )


def _drifts() -> QuerySet[Drift]:
    rows = Drift.objects.select_related("shift", "route__service", "route__environment")
    return rows.prefetch_related("shift__ends")


def _counted(row: Shift) -> Weights:
    """Return what was asked as it counts: where a weight is to be absent, what stood there at the confirmation."""
    counted = (end.counted for end in row.ends.all() if end.state == ShiftState.CONFIRMED and end.counted)
    return next(counted, row.asked) if None in row.asked.values() else row.asked


def _drifted(rows: Iterable[Drift]) -> list[DriftCard]:
    return [
        DriftCard(
            id=row.pk,
            route_id=row.route_id,
            service_id=row.route.service_id,
            service=row.route.service.name,
            environment=row.route.environment.name,
            shift_id=row.shift_id,
            change_id=row.shift.change_id,
            asked=_counted(row.shift),
            asked_by=row.shift.asked_by,
            observed=row.observed,
            owner=row.owner,
            consequence=Sentence.from_json(row.consequence) if row.consequence else None,
            writer=row.writer,
            written_at=row.written_at,
            raised_at=row.raised_at,
            ended_at=row.ended_at,
        )
        for row in rows
    ]
