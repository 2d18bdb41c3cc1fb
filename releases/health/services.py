"""What can be done with health: plan a step that finds out, and write down what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import Template
from urllib.parse import urlsplit
from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog.cards import BindingCard
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Environment, Service
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.health.models import Verdict
from releases.health.ports import Measure, Question
from releases.health.rules import Judgement
from releases.operations.ports import StepPlan

VERDICT_KIND = "health.verdict"
WATCH_KIND = "health.watch"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to measure, how many healthy measures over which span, how many bad ones are a failure."""

    every: timedelta = timedelta(seconds=10)
    needed: int = 3
    span: timedelta = timedelta(seconds=30)
    patience: int = 2


def question_for(*, service_id: UUID, environment_id: UUID, version: str) -> Question:
    """Return what to ask about a service there, by value.

    In a query, ``$service``, ``$environment`` and ``$version`` are filled in.

    :raises Refused: no health question is bound, so nothing could ever be said to be healthy
    """
    service = Service.objects.get(pk=service_id)
    environment = Environment.objects.get(pk=environment_id)
    binding = catalog.binding_for(service_id, environment_id, Purpose.HEALTH)
    names = {"service": service.name, "environment": environment.name}
    question = _question(binding, {**names, "version": version}) if binding else None
    if question is None:
        sentence = Sentence(
            _("Nothing tells how %(service)s is doing in %(environment)s. Bind a health check in the catalogue."), names
        )
        raise Refused(sentence, reasons=[Reason("no_health_check", sentence)])
    return question


def step_for(
    *,
    change_id: UUID,
    service_id: UUID,
    environment_id: UUID,
    version: str,
    name: str,
    stage: int,
    pace: Pace,
    lasts: timedelta | None = None,
) -> StepPlan:
    """Return a step that ends with a verdict; with ``lasts`` it is a watch of that length.

    Reads the catalogue; may run inside the caller's transaction.

    :raises Refused: no health question is bound
    """
    question = question_for(service_id=service_id, environment_id=environment_id, version=version)
    desired = {
        "change": str(change_id),
        "service": str(service_id),
        "environment": str(environment_id),
        "version": version,
        "question": question.as_json(),
        "every": pace.every.total_seconds(),
        "needed": pace.needed,
        "span": pace.span.total_seconds(),
        "patience": pace.patience,
        **({} if lasts is None else {"lasts": lasts.total_seconds()}),
    }
    kind = VERDICT_KIND if lasts is None else WATCH_KIND
    return StepPlan(name, kind, desired, stage=stage, connection=question.connection, repeatable=True)


def judge(
    *,
    step_id: UUID,
    name: str,
    desired: Mapping[str, object],
    judgement: Judgement,
    measures: Sequence[Measure],
    now: datetime,
) -> Verdict:
    """Write a verdict and tell it in its change's story. Runs inside the caller's transaction.

    The same step gives one verdict, however often it is asked to.
    """
    there = Verdict.objects.filter(step_id=step_id).first()
    if there is not None:
        return there
    sentence = {"text": judgement.sentence.text, "parts": dict(judgement.sentence.parts)}
    verdict = Verdict.objects.create(
        change_id=UUID(str(desired["change"])),
        step_id=step_id,
        name=name,
        service=Service.objects.get(pk=UUID(str(desired["service"]))),
        environment=Environment.objects.get(pk=UUID(str(desired["environment"]))),
        version=str(desired["version"]),
        health=judgement.health,
        sentence=sentence,
        question=desired["question"],
        measures=[measure.as_json() for measure in measures],
        judged_at=now,
    )
    data = {
        "verdict": str(verdict.pk),
        "step": name,
        "service": verdict.service.name,
        "environment": verdict.environment.name,
        "version": verdict.version,
        "health": judgement.health.value,
        "sentence": str(judgement.sentence),
        "measures": len(measures),
    }
    audit.record(stream=verdict.stream, kind=Kind.VERDICT_GIVEN, actor=system("worker"), data=data)
    return verdict


def _question(binding: BindingCard, names: Mapping[str, str]) -> Question | None:
    kind, settings = binding.connection.kind, binding.settings
    if kind is ConnectionKind.PROMETHEUS and settings.get("query"):
        safe = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in names.items()}
        text, limit = Template(str(settings["query"])).safe_substitute(safe), settings.get("limit", 0.05)
    elif kind is ConnectionKind.HTTP and settings.get("url"):
        parts = urlsplit(str(settings["url"]))
        text, limit = (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), 0.5
    else:
        return None
    return Question(kind.value, binding.connection.name, text, float(str(limit)))
