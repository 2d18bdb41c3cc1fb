"""What can be done with health: put the question, and write down what was found out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from string import Template
from urllib.parse import urlsplit
from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog.cards import BindingCard
from releases.catalog.kinds import ConnectionKind, Figure
from releases.catalog.models import Environment, Service
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.health.models import Verdict
from releases.health.ports import Measure, Question
from releases.health.rules import Judgement


def question_for(*, binding: BindingCard, service: str, environment: str, version: str) -> Question:
    """Return what to ask about a service there, by value.

    In a query, ``$service``, ``$environment`` and ``$version`` are filled in, quoted as the query language wants it.

    :raises Refused: the binding holds no question that its connection could answer
    """
    names = {"service": service, "environment": environment}
    question = _question(binding, {**names, "version": version})
    if question is None:
        sentence = Sentence(
            _("Nothing tells how %(service)s is doing in %(environment)s. Bind a health check in the catalogue."),
            names,
        )
        raise Refused(sentence, reasons=[Reason("no_health_check", sentence)])
    return question


def split_question(*, binding: BindingCard, service: str, environment: str, version: str) -> Question | None:
    """Return what to ask for the share of the requests that a version gets, or ``None`` where no query says it."""
    text = binding.settings.get("split")
    if binding.connection.kind is not ConnectionKind.PROMETHEUS or not text:
        return None
    names = {"service": service, "environment": environment, "version": version}
    return Question(binding.connection.kind.value, binding.connection.name, _filled(str(text), names), 1.0)


def has_question(binding: BindingCard) -> bool:
    """Say whether a binding holds a question that its connection can answer."""
    return _question(binding, {}) is not None


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
        service=Service.objects.get(name=str(desired["service"])),
        environment=Environment.objects.get(name=str(desired["environment"])),
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
        "sentence": sentence,
        "measures": len(measures),
    }
    audit.record(stream=verdict.stream, kind=Kind.VERDICT_GIVEN, actor=system("worker"), data=data)
    return verdict


def _question(binding: BindingCard, names: Mapping[str, str]) -> Question | None:
    kind, settings = binding.connection.kind, binding.settings
    if kind is ConnectionKind.PROMETHEUS and settings.get("query"):
        text, limit = _filled(str(settings["query"]), names), settings.get("limit", 0.05)
        figure = Figure(str(settings.get("figure", Figure.ERRORS)))
    elif kind is ConnectionKind.HTTP and settings.get("url"):
        parts = urlsplit(str(settings["url"]))
        text, limit = (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), 0.5
        figure = Figure.ANSWER
    else:
        return None
    return Question(kind.value, binding.connection.name, text, float(str(limit)), figure)


def _filled(query: str, names: Mapping[str, str]) -> str:
    safe = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in names.items()}
    return Template(query).safe_substitute(safe)
