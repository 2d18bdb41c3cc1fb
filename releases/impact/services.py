"""Assess a revision and keep every fact behind it."""

from datetime import datetime
from uuid import UUID

from releases.impact import rules
from releases.impact.facts import ChangeFacts
from releases.impact.models import Assessment, Factor


def assess(*, subject: UUID, revision_number: int, facts: ChangeFacts, now: datetime) -> Assessment:
    """Store the assessment of one revision, inside the caller's transaction; the caller's event tells of it.

    An earlier assessment stays as it was: this one is the revision's own.
    """
    appraisal = rules.assess(facts, now)
    assessment = Assessment.objects.create(
        subject=subject,
        revision_number=revision_number,
        impact=appraisal.impact,
        likelihood=appraisal.likelihood,
        likelihood_by_rules=appraisal.likelihood_by_rules,
        likelihood_by_history=appraisal.likelihood_by_history,
        has_little_evidence=appraisal.has_little_evidence,
        level=appraisal.level,
        assessed_at=now,
    )
    Factor.objects.bulk_create(
        Factor(
            assessment=assessment,
            position=position,
            lens=factor.lens,
            code=factor.code,
            side=factor.side,
            points=factor.points,
            text=factor.sentence.text,
            parts=dict(factor.sentence.parts),
            source=factor.source,
            seen_at=factor.seen_at,
            is_known=factor.known,
        )
        for position, factor in enumerate(appraisal.factors)
    )
    return assessment
