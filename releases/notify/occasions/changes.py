"""A change moved: tell whose turn it is, and take back what that settled."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from releases.changes import queries
from releases.changes.models import ChangeRequest, Review
from releases.changes.states import State
from releases.committee import queries as committee
from releases.committee.models import Policy, Round, Vote
from releases.committee.queries import CallForVotes
from releases.committee.seats import Decision, title_of
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.notify import queries as notices
from releases.notify import rules, services
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import evidence, people

# What a verb of the life of a change says to whom: the topic, and the sentence.
TOLD: Mapping[str, tuple[Topic, str]] = {
    "request_changes": (
        Topic.CHANGES_REQUESTED,
        _("%(name)s came back: the committee asks for changes to “%(title)s”."),
    ),
    "authorized": (Topic.APPROVED, _("%(name)s “%(title)s” is approved and scheduled.")),
    "reject": (Topic.REJECTED, _("%(name)s “%(title)s” was rejected.")),
    "failed": (Topic.VERDICT_BAD, _("%(name)s “%(title)s” failed before it got any traffic.")),
    "roll_back": (Topic.ROLLBACK_BEGUN, _("%(name)s “%(title)s” is being rolled back.")),
    "back_by_hand": (Topic.ROLLED_BACK, _("%(name)s “%(title)s” was rolled back.")),
    "rolled_back": (Topic.ROLLED_BACK, _("%(name)s “%(title)s” was rolled back.")),
}
# Where the verb's reader goes.
LIVE = frozenset({Topic.VERDICT_BAD, Topic.ROLLBACK_BEGUN, Topic.ROLLED_BACK})
DECIDED = _("Nothing is left to do: %(name)s no longer waits for your vote.")


def moved(*, change_id: UUID, verb: str, now: datetime) -> None:
    """Tell what a move of a change means, unless the change has moved on since."""
    change = queries.by_id(change_id)
    _withdraw_what_no_longer_holds(change, now=now)
    called_for_votes(now=now, subject=change.pk)
    topic, text = TOLD.get(verb, (None, ""))
    if topic is not None and rules.holds_in(topic, change.state):
        _tell(change, topic, Sentence(text, {"name": change.name, "title": change.title}), now=now)
    if change.state == State.REVIEWING:
        review_due(change, now=now)


def called_for_votes(*, now: datetime, subject: UUID | None = None) -> None:
    """Ask everybody who can help to settle an open round, once per round; take it back from whoever no longer can."""
    calls = [call for call in committee.calls_for_votes(now) if subject in {None, call.subject}]
    asked = {_round_case(call.subject, call.round_id) for call in calls}
    for call in calls:
        _ask(call, now=now)
    for case in notices.open_cases(Topic.VOTE_NEEDED):
        about, round_id = case.split(":")[1], case.split(":")[-1]
        if case not in asked and subject in {None, UUID(about)}:
            knowing = _voters(UUID(round_id))
            services.withdraw(case=case, now=now, knowing=knowing, why=_decided(UUID(about)))


def review_due(change: ChangeRequest, *, now: datetime) -> None:
    """Ask for the review of a change, and more loudly when it is overdue."""
    review = Review.objects.filter(change=change, written_at=None).first()
    if review is None:
        return
    parts = {"name": change.name, "title": change.title, "due": review.due_at}
    if review.due_at > now:
        _tell(
            change,
            Topic.REVIEW_DUE,
            Sentence(_("Write the review of %(name)s “%(title)s” until %(due)s."), parts),
            now=now,
        )
    else:
        text = _("The review of %(name)s “%(title)s” is overdue since %(due)s.")
        _tell(change, Topic.REVIEW_OVERDUE, Sentence(text, parts), now=now)


def window_soon(change: ChangeRequest, *, now: datetime) -> None:
    """Tell whoever runs a change that its window is about to start."""
    parts = {"name": change.name, "title": change.title, "start": change.starts_at}
    _tell(change, Topic.WINDOW_SOON, Sentence(_("%(name)s “%(title)s” may start at %(start)s."), parts), now=now)


def went_wrong(change: ChangeRequest, topic: Topic, *, key: str, lines: tuple[Sentence, ...], now: datetime) -> None:
    """Tell that a release or its way back failed; ``key`` tells one failure from the next."""
    texts = {
        Topic.VERDICT_BAD: _("%(name)s “%(title)s” went wrong: look, and go back if it does harm."),
        Topic.ROLLBACK_FAILED: _("The rollback of %(name)s “%(title)s” failed: try it again, or do it by hand."),
        Topic.NEEDS_HUMAN: _("%(name)s “%(title)s” waits for a person."),
    }
    reason = Sentence(texts[topic], {"name": change.name, "title": change.title})
    occasion = Occasion(topic, key, reason, lines, f"/live/{change.number}", people.services_of(change))
    services.tell(occasion=occasion, people=people.of_change(topic, change), now=now)


def case_of(change: ChangeRequest, topic: Topic) -> str:
    """Return the case of a topic that comes up once for each revision of a change."""
    return f"change:{change.pk}:{topic}:{change.revision_number}"


def _tell(change: ChangeRequest, topic: Topic, reason: Sentence, *, now: datetime) -> None:
    lines = [*_said(change, topic), *evidence.of_change(change)]
    link = f"/live/{change.number}" if topic in LIVE else f"/changes/{change.number}"
    services.tell(
        occasion=Occasion(
            topic,
            case_of(change, topic),
            reason,
            tuple(lines),
            link,
            people.services_of(change),
        ),
        people=people.of_change(topic, change),
        now=now,
    )


def _said(change: ChangeRequest, topic: Topic) -> list[Sentence]:
    """Return what voters wrote, for the decisions that need a reason, or what went wrong."""
    if topic is Topic.VERDICT_BAD:
        return list(evidence.of_last_work(change))
    decision = {Topic.CHANGES_REQUESTED: Decision.REQUEST_CHANGES, Topic.REJECTED: Decision.REJECT}.get(topic)
    if decision is None or change.round_id is None:
        return []
    votes = Vote.objects.filter(round=change.round_id, decision=decision).select_related("person")
    return [
        Sentence(_("%(name)s: “%(reason)s”"), {"name": vote.person.name, "reason": vote.reason})
        for vote in votes.order_by("cast_at")
    ]


def _withdraw_what_no_longer_holds(change: ChangeRequest, *, now: datetime) -> None:
    for topic, case in notices.open_cases_of(f"change:{change.pk}"):
        if topic is not Topic.VOTE_NEEDED and not rules.holds_in(topic, change.state):
            services.withdraw(case=case, now=now)


def _ask(call: CallForVotes, *, now: datetime) -> None:
    occasion = _call_of(call, now=now)
    if occasion is None:
        return
    services.tell(occasion=occasion, people=call.needed, now=now, again=True)
    no_longer = notices.people_told(occasion.case) - call.needed
    if no_longer:
        why = Sentence(DECIDED, {"name": occasion.reason.parts["name"]})
        services.withdraw(case=occasion.case, people=no_longer, knowing=_voters(call.round_id), why=why, now=now)


def _call_of(call: CallForVotes, *, now: datetime) -> Occasion | None:
    seats = Sentence(_("Still needed: %(seats)s"), {"seats": [title_of(seat) for seat in call.seats]})
    try:
        change = queries.by_id(call.subject)
    except Missing:
        return _policy_call(call, seats)
    if not rules.holds_in(Topic.VOTE_NEEDED, change.state):
        return None
    parts = {"name": change.name, "title": change.title}
    return Occasion(
        Topic.VOTE_NEEDED,
        _round_case(change.pk, call.round_id),
        Sentence(_("%(name)s “%(title)s” waits for your vote."), parts),
        (seats, *evidence.of_change(change), *evidence.tests_of(change)),
        f"/changes/{change.number}",
        people.services_of(change),
    )


def _policy_call(call: CallForVotes, seats: Sentence) -> Occasion | None:
    policy = Policy.objects.filter(pk=call.subject).first()
    if policy is None:
        return None
    reason = Sentence(_("The proposed policy “%(name)s” waits for your vote."), {"name": policy.name})
    return Occasion(Topic.VOTE_NEEDED, _round_case(policy.pk, call.round_id), reason, (seats,), "/settings/policies")


def _round_case(subject: UUID, round_id: UUID) -> str:
    return f"change:{subject}:{Topic.VOTE_NEEDED}:{round_id}"


def _decided(subject: UUID) -> Sentence:
    change = ChangeRequest.objects.filter(pk=subject).first()
    policy = None if change else Policy.objects.filter(pk=subject).first()
    return Sentence(DECIDED, {"name": change.name if change else policy.name if policy else "—"})


def _voters(round_id: UUID) -> set[UUID]:
    """Return who voted in a round: they need not be told that their vote is no longer needed."""
    found = Round.objects.filter(pk=round_id).values("subject", "content_digest").first()
    votes = Vote.objects.filter(**found) if found else Vote.objects.none()
    return set(votes.values_list("person_id", flat=True))
