"""Any life of a few changes, lived through the services: the gate allows exactly what an oracle of its own allows.

The oracle reads raw rows (votes, people, grants, bookings) and what was on the voters' screens, and calls none of the
product's rules. It was written from the design's sentence: no allow without quorum of distinct, eligible people on
exactly this content, inside an open window, for exactly this artifact digest.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from releases.accounts import services as accounts
from releases.accounts.models import Grant, Person
from releases.accounts.roles import Role
from releases.audit.queries import states_from_events
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.calendar.models import Booking
from releases.catalog import services as catalog
from releases.catalog.models import Artifact
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.states import ENDED, State
from releases.committee.models import Vote
from releases.committee.rules import Decision
from releases.core.errors import GmudError
from releases.gate import services as gate
from releases.gate.models import Permit
from releases.gate.rules import Run
from releases.gate.states import Verdict
from tests.factories.accounts import SETUP, a_person, actor_of
from tests.factories.catalog import a_digest
from tests.factories.changes import House, fields
from tests.factories.committee import another_account
from tests.factories.gate import CI, a_question

pytestmark = pytest.mark.slow

ENGINEERING, SECURITY = "seat_engineering", "seat_security"
FORWARD = (State.SCHEDULED, State.IMPLEMENTING)
BUSY = (State.IMPLEMENTING, State.WATCHING, State.ROLLING_BACK)
DIGESTS = [a_digest(10_001), a_digest(10_002)]
minutes = st.sampled_from([1, 4, 5, 6, 30, 59, 60, 61, 119, 120, 180])
which = st.integers(0, 2)
seldom = st.sampled_from([False, False, False, True])


class Lives(RuleBasedStateMachine):
    """Two or three changes for one place, and everybody who may touch them."""

    house: House
    allows: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self.block = transaction.atomic()
        self.block._from_testcase = True  # what is durable in the product may be undone here
        self.block.__enter__()
        self.now = self.house.now
        self.shown: dict[tuple[Any, str], Any] = {}
        self.freezes: list[tuple[datetime, datetime]] = []
        self.permits: list[Permit] = []
        self.taken: dict[Any, str] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    @initialize()
    def people(self) -> None:
        # The requester holds a seat, one person holds both, one has two accounts, one engineer has a seat.
        accounts.grant(actor=SETUP, person_id=self.house.engineer.pk, role=Role.SEAT_SECURITY, now=self.now)
        both = a_person("Iris", Role.SEAT_ENGINEERING, Role.SEAT_SECURITY)
        otto = a_person("Otto", Role.ENGINEER, Role.RELEASE_MANAGER, Role.SEAT_ENGINEERING)
        self.staff = [self.house.engineering, self.house.security, both, otto, self.house.engineer]
        self.voters = [actor_of(one) for one in self.staff] + [another_account(self.house.security, "second-account")]
        self.writers = [actor_of(self.house.engineer), actor_of(otto)]
        self.manager = self.house.actor("manager")
        self.draft(DIGESTS[0])

    def changes(self) -> list[ChangeRequest]:
        return list(ChangeRequest.objects.order_by("number"))

    def one(self, number: int) -> ChangeRequest:
        found = self.changes()[-3:]
        return found[number % len(found)]

    def words(self, **changed: Any) -> Any:
        soon = self.now + timedelta(minutes=30)
        return fields(
            replace(self.house, now=self.now), **{"starts_at": soon, "ends_at": soon + timedelta(hours=1), **changed}
        )

    def do(self, call: Any, **arguments: Any) -> Any:
        """Try it; a refusal is an answer, anything else is a failure."""
        try:
            return call(now=self.now, **arguments)
        except GmudError:
            return None

    # What people do.

    @precondition(lambda self: len([one for one in self.changes() if one.state not in ENDED]) < 3)
    @rule(digest=st.sampled_from(DIGESTS))
    def draft(self, digest: str) -> None:
        item = replace(self.words().items[0], digest=digest)
        self.do(services.draft, actor=self.writers[0], fields=self.words(items=[item]))

    @precondition(lambda self: self.changes())
    @rule(
        number=which, writer=st.integers(0, 1), title=st.sampled_from(["One", "Two"]), digest=st.sampled_from(DIGESTS)
    )
    def edit(self, number: int, writer: int, title: str, digest: str) -> None:
        change = self.one(number)
        item = replace(self.words().items[0], digest=digest)
        self.do(
            services.revise,
            change_id=change.pk,
            actor=self.writers[writer],
            fields=self.words(title=title, items=[item]),
        )

    @precondition(lambda self: self.changes())
    @rule(number=which)
    def submit(self, number: int) -> None:
        change = self.one(number)
        self.do(services.submit, change_id=change.pk, actor=self.writers[0])
        self.note(change)

    def note(self, change: ChangeRequest) -> None:
        """Keep what the voters see under this digest."""
        change.refresh_from_db()
        if change.state == State.AUTHORIZING:
            self.shown.setdefault((change.pk, change.content_digest), meaning(change))

    @precondition(lambda self: self.changes())
    @rule(number=which, voter=st.integers(0, 5), decision=st.sampled_from([*[Decision.APPROVE] * 6, *Decision]))
    def vote(self, number: int, voter: int, decision: Decision) -> None:
        change = self.one(number)
        self.do(
            services.vote,
            change_id=change.pk,
            actor=self.voters[voter],
            decision=decision,
            seen_digest=change.content_digest,
            reason="Because.",
        )

    @precondition(lambda self: self.changes())
    @rule(number=which, voter=st.integers(0, 5), earlier=which)
    def vote_on_what_was_shown_before(self, number: int, voter: int, earlier: int) -> None:
        change = self.one(number)
        old = [digest for subject, digest in self.shown if subject == change.pk and digest != change.content_digest]
        if old:
            seen = old[earlier % len(old)]
            arguments = {"actor": self.voters[voter], "decision": Decision.APPROVE, "seen_digest": seen}
            assert self.do(services.vote, change_id=change.pk, **arguments) is None

    @precondition(lambda self: self.changes())
    @rule(number=which, voters=st.permutations(range(6)))
    def bring_before_the_gate(self, number: int, voters: list[int]) -> None:
        if self.one(number).state == State.DRAFT:
            self.edit(number, 0, "One", DIGESTS[0])
        self.submit(number)
        for voter in voters:
            self.vote(number, voter, Decision.APPROVE)
        self.now = max(self.now, self.one(number).starts_at)
        self.ask(number, 0, named=True)

    @precondition(lambda self: self.changes())
    @rule(number=which, verb=st.sampled_from(["withdraw", "cancel"]))
    def take_back(self, number: int, verb: str) -> None:
        self.do(getattr(services, verb), change_id=self.one(number).pk, actor=self.writers[0])

    @precondition(lambda self: self.changes())
    @rule(number=which)
    def hold_or_resume(self, number: int) -> None:
        change = self.one(number)
        if change.is_on_hold:
            self.do(services.resume, change_id=change.pk, actor=self.manager)
        else:
            self.do(services.hold, change_id=change.pk, actor=self.manager, reason="Wait")

    @precondition(lambda self: self.changes())
    @rule(number=which, verb=st.sampled_from(["deployed", "failed"]))
    def report(self, number: int, verb: str) -> None:
        self.do(getattr(services, verb), change_id=self.one(number).pk, actor=self.manager)

    @rule(minutes=minutes)
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        services.expire_due(now=self.now)
        services.settle_due(now=self.now)

    @rule(length=minutes)
    def freeze(self, length: int) -> None:
        span = (self.now, self.now + timedelta(minutes=length))
        self.freezes.append(span)
        self.do(
            calendar.set_window,
            kind=WindowKind.FREEZE,
            actor=self.manager,
            environment_id=self.house.environment.pk,
            title="Freeze",
            starts_at=span[0],
            ends_at=span[1],
        )

    @rule(who=st.integers(0, 3), really=seldom)
    def somebody_leaves(self, who: int, *, really: bool) -> None:
        if really:
            self.do(accounts.deactivate, actor=SETUP, person_id=self.staff[who].pk)

    @rule(who=st.integers(0, 3), seat=st.sampled_from([Role.SEAT_ENGINEERING, Role.SEAT_SECURITY]), gives=st.booleans())
    def a_seat_is_given_or_taken(self, who: int, seat: Role, *, gives: bool) -> None:
        self.do(accounts.grant if gives else accounts.revoke, actor=SETUP, person_id=self.staff[who].pk, role=seat)

    @precondition(lambda self: self.changes())
    @rule(digest=st.sampled_from(DIGESTS), really=seldom)
    def quarantine(self, digest: str, *, really: bool) -> None:
        for artifact in Artifact.objects.filter(digest=digest) if really else ():
            self.do(catalog.quarantine, actor=self.house.actor("on_call"), artifact_id=artifact.pk, reason="Broke")

    # What machines do.

    @precondition(lambda self: self.changes())
    @rule(number=which, other=st.sampled_from([0, 0, 0, 1]), named=st.booleans())
    def ask(self, number: int, other: int, *, named: bool) -> None:
        change = self.one(number)
        digest = change.items.get().artifact.digest
        if other:
            digest = next(one for one in DIGESTS if one != digest)
        question = a_question(
            self.house, change, digest=digest, change_number=change.number if named else None, run=Run("ci", "1")
        )
        decision = gate.ask(actor=CI, request=question, now=self.now).decision
        answering = decision.change or change
        assert (decision.verdict == Verdict.ALLOW) == self.oracle(answering, digest), decision.reasons
        if decision.verdict == Verdict.ALLOW:
            type(self).allows.append(decision.pk)
            self.permits.append(Permit.objects.select_related("decision", "change").get(decision=decision))

    @precondition(lambda self: self.permits)
    @rule(number=st.integers(0, 9), run=st.sampled_from(["1", "1", "1", "2"]), other=st.sampled_from([0, 0, 0, 1]))
    def redeem(self, number: int, run: str, other: int) -> None:
        permit = self.permits[number % len(self.permits)]
        digest = a_digest(10_003) if other else permit.decision.digest
        before = self.taken.get(permit.pk)
        current = ChangeRequest.objects.get(pk=permit.change_id)
        again = before == "ci:1" and self.now < permit.expires_at
        may = run == "1" and not other and (again or self.good(permit, current))
        answer = self.do(gate.redeem, actor=CI, jti=permit.jti, run=Run("ci", run), artifact_digest=digest)
        assert (answer is not None) == may
        if answer is not None:
            self.taken[permit.pk] = answer.run

    def good(self, permit: Permit, current: ChangeRequest) -> bool:
        return (
            permit.pk not in self.taken
            and permit.issued_at <= self.now < permit.expires_at
            and current.content_digest == permit.decision.content_digest
            and self.oracle(current, permit.decision.digest)
        )

    # What must always hold.

    def oracle(self, change: ChangeRequest, digest: str) -> bool:
        change = ChangeRequest.objects.get(pk=change.pk)
        item = change.items.get()
        return (
            change.state in FORWARD
            and self.shown.get((change.pk, change.content_digest)) == meaning(change)
            and quorum(change)
            and item.artifact.digest == digest
            and not Artifact.objects.filter(digest=digest, quarantined_at__isnull=False, cleared_at=None).exists()
            and change.starts_at <= self.now < change.ends_at
            and not any(begins <= self.now < ends for begins, ends in self.freezes)
            and not change.is_on_hold
            and not any(one.state in BUSY for one in self.changes() if one.pk != change.pk)
            and not any(self.booked_before(change))
        )

    def booked_before(self, change: ChangeRequest) -> Iterator[Booking]:
        mine = Booking.objects.filter(subject=change.pk, released_at=None).first()
        for other in Booking.objects.filter(released_at=None).exclude(subject=change.pk):
            ahead = mine is None or (other.booked_at, other.number) < (mine.booked_at, mine.number)
            if ahead and other.starts_at <= self.now < other.ends_at:
                yield other

    @invariant()
    def the_record_tells_what_the_tables_say(self) -> None:
        told = {stream: data["state"] for stream, data in states_from_events().items() if stream.startswith("change:")}
        assert told == dict(queries.states())

    @invariant()
    def a_permit_is_taken_by_one_run(self) -> None:
        for permit in Permit.objects.filter(redeemed_at__isnull=False):
            assert permit.redeemed_by == self.taken[permit.pk]


def meaning(change: ChangeRequest) -> Any:
    """Return what a voter reads, straight from the rows."""
    items = [(one.service_id, one.environment_id, one.artifact.digest) for one in change.items.order_by("position")]
    people = sorted(str(pk) for pk in change.authors.values_list("pk", flat=True))
    return (change.title, change.why, change.plan, change.starts_at, change.ends_at, items, people)


def quorum(change: ChangeRequest) -> bool:
    """Say whether two distinct people who took no part approve this content on the two seats, and nobody is against."""
    took_part = {change.requester_id, *change.authors.values_list("pk", flat=True)}
    held: dict[str, set[Any]] = {ENGINEERING: set(), SECURITY: set()}
    for grant in Grant.objects.filter(role__in=held):
        if Person.objects.get(pk=grant.person_id).is_active and grant.person_id not in took_part:
            held[grant.role].add(grant.person_id)
    votes = Vote.objects.filter(subject=change.pk, content_digest=change.content_digest)
    counted = [vote for vote in votes if vote.person_id in held[ENGINEERING] | held[SECURITY]]
    if any(vote.decision in {"reject", "request_changes"} for vote in counted):
        return False
    approved = {vote.person_id for vote in counted if vote.decision == "approve"}
    return any(a != b for a, b in product(approved & held[ENGINEERING], approved & held[SECURITY]))


SIZES = {"short": (25, 25), "long": (500, 60)}


@pytest.mark.parametrize(
    "size", [pytest.param("short", marks=pytest.mark.once), pytest.param("long", marks=pytest.mark.long)]
)
def test_in_any_life_the_gate_allows_exactly_what_the_oracle_allows(house, size):
    examples, steps = SIZES[size]
    machine = type("LivesHere", (Lives,), {"house": house, "allows": []})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=size == "short",  # so few lives may all end before the gate allows anything
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert machine.allows  # some of these lives got so far
