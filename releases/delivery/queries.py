"""Deployments as pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, QuerySet

from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment, Wish
from releases.delivery.ports import Question, StageView
from releases.delivery.states import ENDS, Act, State

PAGE = 50


@dataclass(frozen=True, slots=True)
class WishCard:
    """What a person asked of a run: an act, or ``answer`` to the question ``text``.

    Not passed on yet while ``passed_at`` is ``None``; passed on without a ``refusal``, an answered question is gone.
    """

    act: str
    text: str
    goes_on: bool
    note: str
    asked_by: str
    asked_at: datetime
    passed_at: datetime | None
    refusal: Sentence | None


@dataclass(frozen=True, slots=True)
class DeploymentCard:
    """A deployment; ``reported_by`` names the run of others that reports it, empty until it has, ``None`` for ours.

    ``progress`` is 0–0.99 or ``None`` when nobody can tell, ``age`` the time since the last look.

    ``left`` is what it probably still takes from now on. ``key`` is found in the run's parameter ``key_parameter``;
    ``ticket`` is what the system gave for it before it ran, ``run`` the run itself.
    """

    id: UUID
    change_id: UUID
    item_id: UUID | None
    service: str
    environment: str
    connection: str
    system: str
    reported_by: str | None
    said: str
    version: str
    digest: str
    intent: str
    slot: str
    job: str
    parameters: Mapping[str, str]
    url: str
    state: State
    stages: tuple[StageView, ...]
    progress: float | None
    left: timedelta | None
    why: Sentence | None
    is_stuck: bool
    questions: tuple[Question, ...]
    acts: frozenset[Act]
    wishes: tuple[WishCard, ...]
    key: str
    key_parameter: str
    ticket: str
    run: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stop_asked_by: str
    seen_at: datetime | None
    age: timedelta | None

    @property
    def has_ended(self) -> bool:
        """Say whether nothing more will happen."""
        return self.state in ENDS


def deployment(deployment_id: UUID, *, now: datetime) -> DeploymentCard:
    """Return one deployment.

    :raises Missing: there is none
    """
    row = _rows().filter(pk=deployment_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such deployment.")))
    return _card(row, now)


def deployments_of(change_id: UUID, *, now: datetime) -> list[DeploymentCard]:
    """Return the deployments of a change, oldest first."""
    return [_card(row, now) for row in _rows().filter(change_id=change_id)]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which deployments a list shows; what is empty filters nothing, ``open`` keeps those that have not ended."""

    service: str = ""
    environment: str = ""
    system: str = ""
    state: str = ""
    open: bool = False
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """A part of the deployments, newest first; ``next_before`` asks for the part after it.

    ``counts`` are those of every state, by the filters but the one for states.
    """

    cards: tuple[DeploymentCard, ...]
    next_before: UUID | None
    counts: Mapping[str, int]


def page(asked: Asked, *, now: datetime, size: int = PAGE) -> DeploymentPage:
    """Return the newest deployments that answer to a question."""
    named = {
        "service__name": asked.service,
        "environment__name": asked.environment,
        "connection__kind": asked.system,
    }
    every = Deployment.objects.filter(**{name: value for name, value in named.items() if value})
    rows = _detailed(every).order_by("-id")
    if asked.state:
        rows = rows.filter(state=asked.state)
    if asked.open:
        rows = rows.filter(ended_at=None)
    if asked.before:
        rows = rows.filter(id__lt=asked.before)
    found = list(rows[: size + 1])
    return DeploymentPage(
        cards=tuple(_card(row, now) for row in found[:size]),
        next_before=found[size - 1].pk if len(found) > size else None,
        counts=dict(every.values_list("state").annotate(Count("pk")).order_by()),
    )


def _rows() -> QuerySet[Deployment]:
    return _detailed(Deployment.objects.all())


def _detailed(rows: QuerySet[Deployment]) -> QuerySet[Deployment]:
    return rows.select_related("service", "environment", "artifact", "connection").prefetch_related("wishes")


def _left(row: Deployment, now: datetime) -> timedelta | None:
    """Return what was left at the last look, less the time since then."""
    if row.left is None or row.seen_at is None:
        return None
    return max(timedelta(), timedelta(seconds=row.left) - (now - row.seen_at))


def _wish(row: Wish) -> WishCard:
    refusal = Sentence.from_json(row.refusal) if row.refusal else None
    return WishCard(row.act, row.text, row.goes_on, row.note, row.asked_by, row.asked_at, row.passed_at, refusal)


def _card(row: Deployment, now: datetime) -> DeploymentCard:
    return DeploymentCard(
        id=row.pk,
        change_id=row.change_id,
        item_id=row.item_id,
        service=row.service.name,
        environment=row.environment.name,
        connection=row.connection.name if row.connection else "",
        system=row.connection.kind if row.connection else row.run.partition(":")[0],
        reported_by=row.run if row.is_reported else None,
        said=row.said,
        version=row.artifact.version,
        digest=row.artifact.digest,
        intent=row.intent,
        slot=row.slot,
        job=row.job,
        parameters=row.parameters,
        url=row.url,
        state=State(row.state),
        stages=tuple(StageView(one["name"], State(one["state"]), one["seconds"]) for one in row.stages),
        progress=row.progress,
        left=_left(row, now),
        why=Sentence(row.why["text"], row.why["parts"]) if row.why else None,
        is_stuck=row.is_stuck,
        questions=tuple(Question.from_json(one) for one in row.questions),
        acts=frozenset(Act(one) for one in row.acts),
        wishes=tuple(_wish(one) for one in row.wishes.all()),
        key=row.op_key or "",
        key_parameter=str(row.remote.get("key_parameter", "")),
        ticket=str(row.remote.get("ticket", "")),
        run=str(row.remote.get("run", "")),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        stop_asked_by=row.stop_asked_by,
        seen_at=row.seen_at,
        age=now - row.seen_at if row.seen_at else None,
    )
