"""To which side a run deploys that the gate lets through: the one that was approved to be free."""

from releases.changes.back import splits_of
from releases.changes.models import RollbackPlan
from releases.gate.queries import DecisionCard
from releases.gate.states import Intent, Verdict
from releases.rollout.rules import idle_target


def slot_of(card: DecisionCard) -> str:
    """Return the side as jobs know it ("stable", "canary"); empty for every answer but an allow to deploy."""
    if card.change_number is None or (card.verdict, card.intent) != (Verdict.ALLOW, Intent.DEPLOY):
        return ""
    plan = RollbackPlan.objects.filter(
        item__change__number=card.change_number,
        item__service__name=card.service,
        item__environment__name=card.environment,
    ).first()
    return idle_target(*splits_of(plan.traffic_snapshot).values()) if plan else ""
