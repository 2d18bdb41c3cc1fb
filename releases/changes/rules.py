"""What a change request must satisfy before it moves: facts in, one sentence or nothing out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from releases.changes.states import ChangeType, MigrationClass
from releases.committee.rules import Tally
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural
from releases.operations.states import OperationState

FAILED_TESTS = plural(
    "%(failed)s test failed: mend it, then file the new report.",
    "%(failed)s tests failed: mend them, then file the new report.",
    by="failed",
)
NOBODY_TOLD = plural(
    "%(customer)s must hear of it %(hours)s hour before, and nobody has told them.",
    "%(customer)s must hear of it %(hours)s hours before, and nobody has told them.",
    by="hours",
)
TOLD_LATE = plural(
    "%(customer)s must hear of it %(hours)s hour before, and heard later than that.",
    "%(customer)s must hear of it %(hours)s hours before, and heard later than that.",
    by="hours",
)


@dataclass(frozen=True, slots=True)
class Promise:
    """A customer who must hear of a change so many hours before, and when they were told of it as it stands now."""

    customer: UUID
    name: str
    hours: int
    told_at: datetime | None = None
    told_by: str = ""
    evidence: str = ""

    @property
    def good_from(self) -> datetime | None:
        """Return the first moment at which the promise is kept; ``None`` while nobody told them."""
        return None if self.told_at is None else self.told_at + timedelta(hours=self.hours)


@dataclass(frozen=True, slots=True)
class Stay:
    """How a version stood somewhere: from when, and until when if another one took its place."""

    since_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """One item: what goes where, what it goes back to, and what stands there now.

    ``busy_with`` are other changes that are being released or watched there; ``is_way_back_wired`` says whether a job
    or a route is there to carry out its way back.
    """

    service: str
    environment: str
    version: str
    digest: str
    is_quarantined: bool
    back_version: str = ""
    back_digest: str = ""
    back_is_quarantined: bool = False
    migration_class: MigrationClass = MigrationClass.NONE
    is_traffic_unread: bool = False
    is_traffic_divided: bool = False
    is_traffic_as_planned: bool = True
    is_way_back_wired: bool = True
    busy_with: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the guards look at, at one moment; built by :mod:`releases.changes.facts`.

    ``is_foreseen_pre_approved`` is for the button of a draft, which no round is on yet; the move itself asks the round.
    """

    now: datetime
    type: ChangeType
    title: str
    why: str
    plan: str
    items: tuple[ItemFacts, ...]
    tests_passed: int | None
    tests_failed: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    is_on_hold: bool = False
    hold_reason: str = ""
    is_assessed: bool = False
    tally: Tally | None = None
    closures: tuple[Sentence, ...] = ()
    promises: tuple[Promise, ...] = ()
    is_budget_spent: bool = False
    twins: tuple[int, ...] = ()
    overdue_reviews: tuple[int, ...] = ()
    work: OperationState | None = None
    has_review: bool = False
    successor: int | None = None
    warrant_until: datetime | None = None
    is_foreseen_pre_approved: bool = False

    @property
    def is_pre_approved(self) -> bool:
        """Say whether the policy asks nobody about this content."""
        return self.tally.is_pre_approved if self.tally is not None else self.is_foreseen_pre_approved

    @property
    def has_quorum(self) -> bool:
        """Say whether the committee has authorized exactly this content."""
        return self.tally is not None and self.tally.approved

    @property
    def is_traffic_as_planned(self) -> bool:
        """Say whether going back would still mean what was approved, for every item."""
        return all(item.is_traffic_as_planned for item in self.items)

    @property
    def busy_with(self) -> tuple[int, ...]:
        """Return the other changes that are being released or watched in any of the places."""
        return tuple(sorted({number for item in self.items for number in item.busy_with}))


def has_title(facts: Facts) -> Sentence | None:
    """Ask for a title."""
    return None if facts.title.strip() else Sentence(_("Give the change a title."))


def has_why(facts: Facts) -> Sentence | None:
    """Ask who gains and what happens otherwise."""
    return None if facts.why.strip() else Sentence(_("Say who gains, and what happens if we do nothing."))


def has_items(facts: Facts) -> Sentence | None:
    """Ask for at least one item, none of them in quarantine."""
    if not facts.items:
        return Sentence(_("Add at least one service with its version and digest."))
    for item in facts.items:
        if item.is_quarantined:
            return Sentence(
                _("%(service)s %(version)s is in quarantine: choose another version, or have it cleared."),
                {"service": item.service, "version": item.version},
            )
    return None


def has_plan(facts: Facts) -> Sentence | None:
    """Ask for the steps forward."""
    return None if facts.plan.strip() else Sentence(_("Write the plan: the steps, in order."))


def has_evidence(facts: Facts) -> Sentence | None:
    """Ask for test figures without a failure."""
    if facts.tests_passed is None:
        return Sentence(_("Say how many tests passed, and where the report is."))
    if facts.tests_failed:
        return Sentence(FAILED_TESTS, {"failed": facts.tests_failed})
    return None


def has_rollback_plan(facts: Facts) -> Sentence | None:
    """Ask for a way back of every item that can really be gone."""
    for item in facts.items:
        names = {"service": item.service, "environment": item.environment, "version": item.back_version}
        if not item.back_digest:
            return Sentence(
                _("Name the version %(service)s goes back to in %(environment)s: nothing is known to run there."), names
            )
        if item.back_digest == item.digest:
            return Sentence(_("%(service)s would go back to itself: choose an earlier version."), names)
        if item.back_is_quarantined:
            return Sentence(_("%(service)s cannot go back to %(version)s: it is in quarantine."), names)
        if item.is_traffic_unread:
            text = _(
                "Nobody has looked yet how the traffic of %(service)s is split in %(environment)s: have somebody look "
                "at its route under Settings, then save again."
            )
            return Sentence(text, names)
        if item.is_traffic_divided:
            text = _(
                "The routes of %(service)s in %(environment)s carry its traffic to different sides, so neither is free "
                "to deploy to: bring them in line, then save again."
            )
            return Sentence(text, names)
    return None


def window_ordered(facts: Facts) -> Sentence | None:
    """Ask for a window that ends after it starts."""
    if facts.starts_at is None or facts.ends_at is None:
        return Sentence(_("Choose a window: from when until when."))
    return None if facts.starts_at < facts.ends_at else Sentence(_("Let the window end after it starts."))


def window_ahead(facts: Facts) -> Sentence | None:
    """Ask for a window that is not over; a planned one must still begin."""
    if facts.starts_at is None or facts.ends_at is None:
        return None
    edge = facts.ends_at if facts.type is ChangeType.EMERGENCY else facts.starts_at
    return None if edge > facts.now else Sentence(_("Choose a window that starts in the future."))


def no_twin(facts: Facts) -> Sentence | None:
    """Refuse a second open change for the same artifact in the same place."""
    if not facts.twins:
        return None
    return Sentence(_("CHG-%(number)s already asks for this; cancel one of the two."), {"number": facts.twins[0]})


def no_overdue_review(facts: Facts) -> Sentence | None:
    """Refuse the next emergency while the review of the last one is overdue."""
    if not facts.overdue_reviews:
        return None
    return Sentence(
        _("The review of emergency CHG-%(number)s is overdue: write it first."), {"number": facts.overdue_reviews[0]}
    )


@dataclass(frozen=True, slots=True)
class TypeGuard:
    """Holds for one type of change."""

    wanted: ChangeType
    sentence: str

    def __call__(self, facts: Facts) -> Sentence | None:
        """Return the sentence for every other type."""
        return None if facts.type is self.wanted else Sentence(self.sentence)


def is_assessed(facts: Facts) -> Sentence | None:
    """Wait for the assessment of this content."""
    return None if facts.is_assessed else Sentence(_("The impact of this content has not been assessed yet."))


def is_pre_approved(facts: Facts) -> Sentence | None:
    """Let a standard change pass only where the policy asks nobody."""
    if facts.is_pre_approved:
        return None
    return Sentence(_("The policy does not pre-approve this as a standard change: file it as a normal one."))


def has_quorum(facts: Facts) -> Sentence | None:
    """Ask for the committee's authorization of exactly this content."""
    if facts.has_quorum:
        return None
    return Sentence(_("The committee has not authorized this content."))


def not_on_hold(facts: Facts) -> Sentence | None:
    """Stop while the change is on hold."""
    if not facts.is_on_hold:
        return None
    return Sentence(_("On hold: %(reason)s"), {"reason": facts.hold_reason})


def inside_window(facts: Facts) -> Sentence | None:
    """Hold outside the window; its end is not inside."""
    if facts.starts_at and facts.ends_at and facts.starts_at <= facts.now < facts.ends_at:
        return None
    return Sentence(_("Now is outside the window of this change."))


def window_over(facts: Facts) -> Sentence | None:
    """Let a change expire only after its window."""
    if facts.ends_at and facts.ends_at <= facts.now:
        return None
    return Sentence(_("The window is not over yet."))


def nothing_closed(facts: Facts) -> Sentence | None:
    """Hold while a freeze or a lock closes any of the places."""
    return facts.closures[0] if facts.closures else None


def customers_told(facts: Facts) -> Sentence | None:
    """Hold until everybody who was promised notice was told long enough before."""
    for promise in facts.promises:
        names = {"customer": promise.name, "hours": promise.hours}
        if promise.good_from is None:
            return Sentence(NOBODY_TOLD, names)
        if facts.now < promise.good_from:
            return Sentence(TOLD_LATE, names)
    return None


def budget_left(facts: Facts) -> Sentence | None:
    """Hold while the error budget is spent; an emergency may go all the same."""
    if not facts.is_budget_spent or facts.type is ChangeType.EMERGENCY:
        return None
    return Sentence(_("The error budget is spent: only an emergency may go before some of it is back."))


def nobody_busy(facts: Facts) -> Sentence | None:
    """Hold while another change is being released or watched in the same place."""
    if not facts.busy_with:
        return None
    return Sentence(
        _("CHG-%(number)s is being released there: wait until its watch is over."), {"number": facts.busy_with[0]}
    )


def traffic_as_planned(facts: Facts) -> Sentence | None:
    """Hold when the traffic is no longer where the approved way back would put it."""
    if facts.is_traffic_as_planned:
        return None
    return Sentence(_("Traffic is no longer where the rollback plan would put it: revise the change."))


def no_rollout_running(facts: Facts) -> Sentence | None:
    """Leave a running rollout to itself."""
    return Sentence(_("A rollout is running and reports this by itself.")) if facts.work else None


def work_rests(facts: Facts) -> Sentence | None:
    """Leave a rollback that goes on by itself to itself."""
    if facts.work in {None, OperationState.NEEDS_HUMAN}:
        return None
    return Sentence(_("The rollback is running: wait until it ends, or until it asks for a person."))


def warrant_live(facts: Facts) -> Sentence | None:
    """Hold the warrant to go back until the watch ends."""
    if facts.warrant_until is None or facts.now < facts.warrant_until:
        return None
    return Sentence(_("The watch is over, and the approved way back with it: file a change to go back."))


def can_go_back(facts: Facts) -> Sentence | None:
    """Refuse one click where data could not follow, or where there is nothing to go back to.

    That the earlier version was quarantined meanwhile refuses nothing: it is the safest place there is.
    """
    for item in facts.items:
        if item.migration_class is MigrationClass.IRREVERSIBLE:
            return Sentence(
                _("%(service)s changed data that cannot be undone: going back needs a change of its own."),
                {"service": item.service},
            )
        if not item.back_digest:
            return Sentence(_("Nothing is known that %(service)s could go back to."), {"service": item.service})
    if facts.items and not any(item.is_way_back_wired for item in facts.items):
        text = _(
            "No job and no route of %(service)s is known here, so nothing could bring it back: go back by your own "
            "means, then say so in the review."
        )
        return Sentence(text, {"service": facts.items[0].service})
    return None


def has_review(facts: Facts) -> Sentence | None:
    """Ask for the review before closing."""
    return None if facts.has_review else Sentence(_("Write the review: what happened, and what we learned."))


def has_successor(facts: Facts) -> Sentence | None:
    """Ask for the change that takes its place."""
    return None if facts.successor else Sentence(_("Name the change that takes the place of this one."))
