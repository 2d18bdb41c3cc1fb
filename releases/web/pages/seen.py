"""What is read of one release, once, for its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.queries import ChangeCard
from releases.delivery import queries as delivery
from releases.delivery.queries import DeploymentCard
from releases.operations import queries as operations
from releases.operations.queries import OperationView
from releases.operations.states import OperationState, StepState
from releases.rollback import services as rollback
from releases.web.looks import Look
from releases.web.tags import both

LINES_OF_LOG = 12


DEPLOY, VERDICT, WATCH = "delivery.deploy", "health.verdict", "health.watch"


STEP_LOOKS: Mapping[StepState, Look] = {
    StepState.TODO: Look("", "○", _("Waiting")),
    StepState.SENDING: Look("info", "▶", _("Sending")),
    StepState.UNKNOWN: Look("wait", "?", _("Looking whether it arrived")),
    StepState.APPLIED: Look("info", "▶", _("Running")),
    StepState.NEEDS_HUMAN: Look("stop", "!", _("Waits for a person")),
    StepState.CONFIRMED: Look("go", "✓", _("Done")),
    StepState.FAILED: Look("stop", "✕", _("Failed")),
    StepState.SKIPPED: Look("", "–", _("Not sent")),
    StepState.ABANDONED: Look("wait", "■", _("Left as it is")),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything read of one change, once."""

    row: ChangeRequest
    card: ChangeCard
    operations: tuple[OperationView, ...]
    deployments: Mapping[UUID, DeploymentCard]
    now: datetime

    @property
    def current(self) -> OperationView | None:
        """Return the latest operation."""
        return self.operations[0] if self.operations else None

    @property
    def names(self) -> dict[str, object]:
        """Return versions forward and back, for sentences."""
        return {
            "version": both(dict.fromkeys(item.version for item in self.card.items)),
            "back": both(dict.fromkeys(item.back_version or "—" for item in self.card.items)),
        }

    @property
    def is_back(self) -> bool:
        """Say whether the latest work goes backward."""
        return self.current is not None and self.current.kind == rollback.KIND


def look_at(number: int, now: datetime) -> Seen:
    """Read everything of one change.

    :raises Missing: there is no such change
    """
    row = queries.by_number(number)
    found = operations.operations_of(row.pk)
    found = [one for one in found if one.state != OperationState.SUPERSEDED] or found
    deployments = {one.id: one for one in delivery.deployments_of(row.pk, now=now)}
    return Seen(row, queries.card(row), tuple(found), deployments, now)


def shown_of(seen: Seen) -> list[OperationView]:
    """Return what belongs together: a rollback alone, or the rollout with its watch, in order of time."""
    if seen.is_back and seen.current:
        return [seen.current]
    return [one for one in reversed(seen.operations) if one.kind != rollback.KIND]
