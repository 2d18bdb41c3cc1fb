"""What is read of one release, once, for its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.queries import ChangeCard
from releases.changes.states import RUNNING
from releases.delivery import queries as delivery
from releases.delivery.queries import DeploymentCard
from releases.delivery.services import CALL_OFF
from releases.operations import queries as operations
from releases.operations.queries import OperationView
from releases.operations.states import OperationState, StepState
from releases.rollback import queries as rollback_queries
from releases.rollback import services as rollback
from releases.rollback.states import ByHand
from releases.rollout.states import Work
from releases.rollout.steps import JUDGED_PAUSE_KIND
from releases.web.looks import Look
from releases.web.tags import both

LINES_OF_LOG = 12


DEPLOY, VERDICT, WATCH = "delivery.deploy", "health.verdict", "health.watch"
JUDGES = frozenset({VERDICT, JUDGED_PAUSE_KIND, WATCH})


WAITS = frozenset(
    {OperationState.NEEDS_HUMAN, OperationState.FAILED, OperationState.STOPPED, OperationState.SUPERSEDED}
)
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
    """Everything read of one change, once.

    ``aside`` is work that neither goes forward nor back; ``by_hand`` is how a person ended its rollback.
    """

    row: ChangeRequest
    card: ChangeCard
    operations: tuple[OperationView, ...]
    aside: tuple[OperationView, ...]
    deployments: Mapping[UUID, DeploymentCard]
    now: datetime
    by_hand: ByHand | None = None

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
    def waits(self) -> bool:
        """Say whether the latest work does not go on by itself: it failed, was ended, or waits for a person."""
        return self.current is not None and self.current.state in WAITS

    @property
    def is_back(self) -> bool:
        """Say whether the latest work goes backward."""
        return self.current is not None and self.current.kind == rollback.KIND


def look_at(number: int, now: datetime) -> Seen:
    """Read everything of one change.

    :raises Missing: there is no such change
    """
    row = queries.by_number(number)
    everything = operations.operations_of(row.pk)
    aside = tuple(one for one in everything if one.kind == CALL_OFF)
    found = [one for one in everything if one not in aside]
    by_hand = None if row.state in RUNNING else rollback_queries.by_hand(row.pk)
    if by_hand is None:
        torn = {one.supersedes for one in found if one.kind == Work.PUT_BACK}
        found = [one for one in found if one.state != OperationState.SUPERSEDED or one.id in torn] or found
    deployments = {one.id: one for one in delivery.deployments_of(row.pk, now=now)}
    return Seen(row, queries.card(row), tuple(found), aside, deployments, now, by_hand)


def shown_of(seen: Seen) -> list[OperationView]:
    """Return what belongs together: a rollback alone, or the rollout with its watch, in order of time."""
    if seen.is_back and seen.current:
        return [seen.current]
    return [one for one in reversed(seen.operations) if one.kind != rollback.KIND]
