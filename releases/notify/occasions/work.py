"""Durable work moved, a message was given up, the record is contradicted."""

from datetime import datetime
from uuid import UUID

from releases.audit import queries as audit
from releases.changes import queries as changes
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.notify import queries as notices
from releases.notify import rules, services
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import evidence, people
from releases.notify.occasions.changes import went_wrong
from releases.notify.services.telling import DUE
from releases.operations import queries as operations
from releases.operations.models import Operation, OutboxMessage
from releases.operations.queries import OperationView
from releases.operations.states import OperationState
from releases.rollback.models import Asked
from releases.rollback.services import SECOND_PRESSES_WITHIN

ROLLBACK = "rollback"
UNDER_WAY = frozenset({State.IMPLEMENTING, State.WATCHING})


def work_moved(*, operation_id: UUID, state: str, message_id: UUID, now: datetime) -> None:
    """Page when work waits for a person or a rollback failed, tell when a release did; take back what is over.

    ``message_id`` tells one time from the next: work may wait, go on, and wait again.
    """
    settle_work(now=now)
    operation = operations.operation(operation_id)
    if operation.state != state:
        return
    if state == OperationState.NEEDS_HUMAN:
        _needs_human(operation, message_id, now=now)
    elif state == OperationState.FAILED:
        _failed(operation, now=now)


def traffic_moved(*, change_id: UUID, why: Sentence, message_id: UUID, now: datetime) -> None:
    """Ask whoever watches a release about weights that somebody set back; the measuring goes on meanwhile."""
    change = changes.by_id(change_id)
    if change.state == State.WATCHING:
        key = f"change:{change.pk}:{Topic.VERDICT_BAD}:{message_id}"
        went_wrong(change, Topic.VERDICT_BAD, key=key, lines=(why,), now=now)


def routes_put_back(*, change_id: UUID, message_id: UUID, now: datetime) -> None:
    """Ask whoever runs a release what is to become of it: a step that not every route made was put back."""
    change = changes.by_id(change_id)
    if change.state == State.IMPLEMENTING:
        key = f"change:{change.pk}:{Topic.VERDICT_BAD}:{message_id}"
        line = Sentence(_("Not every route could make a step; those that did are put back. Try it again, or go back."))
        went_wrong(change, Topic.VERDICT_BAD, key=key, lines=(line,), now=now)


def settle_work(*, now: datetime) -> None:
    """Take back every page about work that went on since."""
    waits = {
        Topic.NEEDS_HUMAN: (1, OperationState.NEEDS_HUMAN),
        Topic.ROLLBACK_FAILED: (3, OperationState.FAILED),
    }
    for topic, (place, state) in waits.items():
        for case in notices.open_cases(topic):
            if not _still(UUID(case.split(":")[place]), state):
                services.withdraw(case=case, now=now)


def message_given_up(*, message_id: UUID, now: datetime) -> None:
    """Page about a message that was tried often enough; once a day when it is our own letters that cannot be sent."""
    settle_messages(now=now)
    message = OutboxMessage.objects.filter(pk=message_id).exclude(dead_at=None).first()
    if message is None:
        return
    which = f"{message_id}" if message.kind != DUE else f"{DUE}:{now:%Y-%m-%d}"
    reason = Sentence(
        _("A message was given up after %(count)s tries: %(kind)s."), {"count": message.attempts, "kind": message.kind}
    )
    error = Sentence(_("The last error: %(error)s"), {"error": message.last_error})
    occasion = Occasion(Topic.MESSAGE_DEAD, f"message:{which}", reason, (error,), "/")
    services.tell(occasion=occasion, people=people.of_services(Topic.MESSAGE_DEAD, ()), now=now)


def report_refused(*, change_id: UUID, run: str, why: Sentence, message_id: UUID, now: datetime) -> None:
    """Tell that a run reported of a deployment what cannot be: another artifact, another run, another end."""
    change = changes.by_id(change_id)
    parts = {"run": run, "name": change.name}
    reason = Sentence(_("%(run)s reported of %(name)s what does not fit; it was not believed."), parts)
    occasion = Occasion(
        Topic.REPORT_REFUSED,
        f"report:{message_id}",
        reason,
        (why,),
        f"/changes/{change.number}",
        people.services_of(change),
    )
    services.tell(occasion=occasion, people=people.of_change(Topic.REPORT_REFUSED, change), now=now)


def settle_messages(*, now: datetime) -> None:
    """Take back every page about a message that is on its way again."""
    for case in notices.open_cases(Topic.MESSAGE_DEAD):
        which = case.removeprefix("message:")
        still = OutboxMessage.objects.exclude(dead_at=None)
        still = still.filter(kind=DUE) if which.startswith(DUE) else still.filter(pk=which)
        if not still.exists():
            services.withdraw(case=case, now=now)


def record_contradicted(*, now: datetime) -> None:
    """Page while the record contradicts itself or its witness, once a day; take it back when it agrees again."""
    found = audit.contradiction()
    if found is None:
        for case in notices.open_cases(Topic.WITNESS_INCONSISTENT):
            services.withdraw(case=case, now=now)
        return
    reason = Sentence(_("The record is in doubt: %(what)s"), {"what": found.what})
    line = Sentence(_("Until it is explained the gate is shut, and going back takes two people."))
    occasion = Occasion(Topic.WITNESS_INCONSISTENT, f"witness:{now:%Y-%m-%d}", reason, (line,), "/audit")
    services.tell(occasion=occasion, people=people.of_services(Topic.WITNESS_INCONSISTENT, ()), now=now)


def second_person_asked(*, change_id: UUID, now: datetime) -> None:
    """Page for the second person that going back takes while the record is in doubt, unless it is too late for one."""
    settle_second_person(now=now)
    asked = Asked.objects.select_related("person").filter(change=change_id).first()
    change = changes.by_id(change_id)
    if asked is None or _ran_out(asked, now) or not rules.holds_in(Topic.ROLLBACK_ASKED, change.state):
        return
    if any(topic is Topic.ROLLBACK_ASKED for topic, _case in notices.open_cases_of(f"change:{change.pk}")):
        return  # the first pressed once more: the others know
    parts = {"who": asked.person.name, "name": change.name, "title": change.title}
    reason = Sentence(_("%(who)s asks you to go back with %(name)s “%(title)s”: it takes a second person."), parts)
    line = Sentence(
        _("The record is in doubt, so one person is not enough. Look, and press the button until %(until)s."),
        {"until": asked.asked_at + SECOND_PRESSES_WITHIN},
    )
    lines = (line, *evidence.of_change(change))
    case = f"change:{change.pk}:{Topic.ROLLBACK_ASKED}:{asked.asked_at.timestamp():.0f}"
    occasion = Occasion(Topic.ROLLBACK_ASKED, case, reason, lines, f"/live/{change.number}", people.services_of(change))
    whom = people.of_change(Topic.ROLLBACK_ASKED, change) - {asked.person_id}
    services.tell(occasion=occasion, people=whom, now=now)


def settle_second_person(*, now: datetime) -> None:
    """Take back every page for a second person whose time is over: the first has to press again."""
    for case in notices.open_cases(Topic.ROLLBACK_ASKED):
        asked = Asked.objects.select_related("change").filter(change=UUID(case.split(":")[1])).first()
        if asked is not None and _ran_out(asked, now):
            text = _(
                "The time to go back with %(name)s as the second person is over. Whoever still wants it asks anew."
            )
            services.withdraw(case=case, now=now, why=Sentence(text, {"name": asked.change.name}))


def _ran_out(asked: Asked, now: datetime) -> bool:
    return now - asked.asked_at >= SECOND_PRESSES_WITHIN


def _still(operation_id: UUID, state: OperationState) -> bool:
    """Say whether an operation stands there and no other one has taken its place."""
    known = Operation.objects.filter(pk=operation_id, state=state).first()
    active = operations.active_on(known.target) if known else None
    return known is not None and (active is None or active.id == operation_id)


def _needs_human(operation: OperationView, message_id: UUID, *, now: datetime) -> None:
    key = f"operation:{operation.id}:{Topic.NEEDS_HUMAN}:{message_id}"
    lines = tuple(evidence.of_work(operation))
    try:
        change = changes.by_id(operation.subject)
    except Missing:
        reason = Sentence(_("The work on %(target)s waits for a person."), {"target": operation.target})
        occasion = Occasion(Topic.NEEDS_HUMAN, key, reason, lines, "/live")
        services.tell(occasion=occasion, people=people.of_services(Topic.NEEDS_HUMAN, ()), now=now)
    else:
        went_wrong(change, Topic.NEEDS_HUMAN, key=key, lines=lines, now=now)


def _failed(operation: OperationView, *, now: datetime) -> None:
    change = ChangeRequest.objects.filter(pk=operation.subject).first()
    is_rollback = operation.kind == ROLLBACK
    if change is None or not (is_rollback or change.state in UNDER_WAY):
        return  # what failed before any traffic is told with the move of the change
    topic = Topic.ROLLBACK_FAILED if is_rollback else Topic.VERDICT_BAD
    key = f"change:{change.pk}:{topic}:{operation.id}"
    whole = changes.by_id(change.pk)
    went_wrong(whole, topic, key=key, lines=tuple(evidence.of_work(operation)), now=now)
