"""Who else writes to the route of a step: one writer at a time, and whoever goes back has the last word.

A control plane without versions (Kong, APISIX) cannot tell two writers of ours apart, and none refuses a late write
while the weights are those it was meant to replace.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from releases.core.errors import Reason, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations import queries as operations
from releases.operations.models import Attempt, Step
from releases.operations.ports import StepView
from releases.operations.states import ACTIVE, IN_FLIGHT, AttemptOutcome
from releases.traffic.facts import STEP_KIND

IN_GIT = "in-git"  # the reference of a step that somebody else fulfils: nothing of ours is out
UNANSWERED = (AttemptOutcome.OPEN, AttemptOutcome.UNKNOWN)


def hold(step: StepView) -> None:
    """Look whether the work is still ours: what was asked or tried out before took its time.

    :raises Stale: somebody took it over; nothing was written
    """
    if not operations.is_held(step):
        raise Stale(Sentence(_("Somebody took this over meanwhile; nothing was written.")))


def find_no_other_writer(step: StepView) -> None:
    """Look whether other work of ours is writing to this route. Both see each other: each wrote its intent before.

    :raises Refused: it is
    """
    writing = Step.objects.filter(kind=STEP_KIND, state__in=IN_FLIGHT, operation__state__in=ACTIVE)
    others = writing.exclude(pk=step.step_id).exclude(remote_ref=IN_GIT).order_by()
    if _on_its_route(step, others.values_list("desired", flat=True)):
        text = Sentence(_("Other work moves this route now. Wait for its end, or take it over there."))
        raise Refused(text, reasons=[Reason("in_flight", text)])


def may_still_arrive(step: StepView, *, now: datetime) -> bool:
    """Say whether a call of other work, which nobody has an answer of, may still set other weights on this route.

    A call lives shorter than a lease, whoever gave up on it meanwhile.
    """
    since = now - timedelta(seconds=settings.GMUD_LEASE_SECONDS)
    calls = Attempt.objects.filter(step__kind=STEP_KIND, sent_at__gt=since, outcome__in=UNANSWERED)
    found = calls.exclude(step=step.step_id).order_by().values_list("step__desired", flat=True)
    return any(one["weights"] != step.desired["weights"] for one in _on_its_route(step, found))


def _on_its_route(step: StepView, every: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [desired for desired in every if desired["route"] == step.desired["route"]]
