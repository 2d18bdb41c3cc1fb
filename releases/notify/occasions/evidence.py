"""The lines under a notice: what it is about, in a few facts."""

from collections.abc import Iterator

from releases.changes import queries as changes
from releases.changes.models import ChangeRequest
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations import queries as operations
from releases.operations.queries import OperationView
from releases.operations.states import StepState

MOST_ITEMS = 5
SHORT_DIGEST = 19
BAD = frozenset({StepState.FAILED, StepState.NEEDS_HUMAN})
LEVELS = {
    "low": _("Low risk"),
    "moderate": _("Moderate risk"),
    "high": _("High risk"),
    "very_high": _("Very high risk"),
}


def of_change(change: ChangeRequest) -> Iterator[Sentence]:
    """Yield what a change is: its items, its risk, its window, who asked, and the digest votes bind to."""
    card = changes.card(change)
    for item in card.items[:MOST_ITEMS]:
        parts = {
            "service": item.service,
            "before": item.back_version or "—",
            "version": item.version,
            "where": item.environment,
        }
        yield Sentence(_("%(service)s %(before)s → %(version)s in %(where)s"), parts)
    if card.level:
        yield Sentence(LEVELS[card.level])
    if card.starts_at and card.ends_at:
        yield Sentence(_("Window: %(start)s to %(end)s"), {"start": card.starts_at, "end": card.ends_at})
    yield Sentence(_("Asked by %(name)s"), {"name": card.requester})
    yield Sentence(_("Content: %(digest)s…"), {"digest": card.content_digest[:SHORT_DIGEST]})


def tests_of(change: ChangeRequest) -> Iterator[Sentence]:
    """Yield what its tests said, when they were filed."""
    evidence = change.test_evidence or {}
    if evidence.get("passed") is not None:
        parts = {"passed": evidence["passed"], "failed": evidence.get("failed") or 0}
        yield Sentence(_("Tests: %(passed)s passed, %(failed)s failed"), parts)


def of_work(operation: OperationView) -> Iterator[Sentence]:
    """Yield which steps went wrong or wait, and why."""
    for step in operation.steps:
        if step.state in BAD:
            why = step.note or Sentence(_("no reason is known"))
            yield Sentence(_("%(step)s: %(why)s"), {"step": step.name, "why": why})


def of_last_work(change: ChangeRequest) -> Iterator[Sentence]:
    """Yield what went wrong in the latest work on a change."""
    for operation in operations.operations_of(change.pk)[:1]:
        yield from of_work(operation)
