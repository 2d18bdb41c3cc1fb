"""Verdicts as pages show them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.core.errors import Sentence
from releases.health.models import Verdict
from releases.health.ports import Measure, Question
from releases.health.states import Health


@dataclass(frozen=True, slots=True)
class VerdictCard:
    """A verdict with the measures it rests on."""

    id: UUID
    step_id: UUID
    name: str
    service: str
    environment: str
    version: str
    health: Health
    sentence: Sentence
    question: Question
    measures: tuple[Measure, ...]
    judged_at: datetime


def verdicts_of(change_id: UUID) -> list[VerdictCard]:
    """Return the verdicts of a change, oldest first."""
    rows = Verdict.objects.filter(change_id=change_id).select_related("service", "environment")
    return [
        VerdictCard(
            id=row.pk,
            step_id=row.step_id,
            name=row.name,
            service=row.service.name,
            environment=row.environment.name,
            version=row.version,
            health=Health(row.health),
            sentence=Sentence(row.sentence["text"], row.sentence["parts"]),
            question=Question.from_json(row.question),
            measures=tuple(Measure.from_json(one) for one in row.measures),
            judged_at=row.judged_at,
        )
        for row in rows
    ]
