"""What was assessed, ready for a page."""

from uuid import UUID

from releases.impact.lenses import Lens, Level, Side
from releases.impact.models import Assessment
from releases.impact.rules import Appraisal, Factor


def latest(subject: UUID) -> Assessment | None:
    """Return the last assessment of a subject."""
    return Assessment.objects.filter(subject=subject).order_by("-assessed_at", "-id").first()


def appraisal_of(assessment: Assessment) -> Appraisal:
    """Return an assessment with every fact, as it was computed then; facts by lens are in ``lenses``."""
    return Appraisal(
        impact=assessment.impact,
        likelihood=assessment.likelihood,
        likelihood_by_rules=assessment.likelihood_by_rules,
        likelihood_by_history=assessment.likelihood_by_history,
        has_little_evidence=assessment.has_little_evidence,
        level=Level(assessment.level),
        factors=tuple(
            Factor(
                lens=Lens(row.lens),
                code=row.code,
                side=Side(row.side),
                points=row.points,
                sentence=row.sentence,
                source=row.source,
                seen_at=row.seen_at,
                known=row.is_known,
            )
            for row in assessment.factors.all()
        ),
    )
