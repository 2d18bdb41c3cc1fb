"""Tell the demo's past: every change through the services, at the times it happened, the gate asked each time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from gmud.demo import outside, story
from gmud.demo.outside import Jenkins, Mesh, Moment, Prometheus
from releases.accounts import services as accounts
from releases.audit.actor import Actor
from releases.catalog import queries as catalog_queries
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.states import Outcome, State
from releases.committee.seats import Decision
from releases.gate import services as gate
from releases.gate.models import Permit
from releases.gate.rules import Request, Run
from releases.gate.states import Intent
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.states import OperationState
from releases.rollback import services as rollback
from releases.rollout import services as rollout

if TYPE_CHECKING:
    from gmud.demo.telling import Telling

ENGINEERS = {"frontend": "nina", "accounts": "iara", "ledger": "ana"}
LOOKS = 4
MOST_LOOKS = 40
REASON = "Support hears of refused recipients; 38 % of requests fail on the new side."
REFUSAL = "Bookings in batches lose their order when one of them fails. Show how they are replayed, then ask again."
SUMMARIES = {
    Outcome.SUCCESSFUL: "As planned; nothing to add.",
    Outcome.SUCCESSFUL_WITH_ISSUES: "Went out, but the error rate stood at 1.2 % for four minutes. Let it run longer.",
    Outcome.FAILED: "The migration waited for a lock and was stopped before any traffic. Run it at night.",
    Outcome.ROLLED_BACK: "The canary failed and we went back. The list of reasons was not in the image.",
}
EMERGENCY_SUMMARY = "It could not wait for all seats: operations let it go, and the guessing stopped."


def tell(telling: "Telling") -> None:
    """Tell all that is over."""
    _Past(telling).tell()


class _Past:
    """The past while it is told: its clock, and the outside as it was."""

    def __init__(self, telling: "Telling") -> None:
        """Remember which version fell ill and which one could not be brought."""
        self.telling = telling
        self.moment = Moment(telling.founded)
        told = [one for one in story.past() if one.environment == "production"]
        broken = {telling.digest(one.service, one.version) for one in told if one.ending == Outcome.FAILED}
        ill = {
            f'destination_service_name="{one.service}",destination_service_namespace="bank-production",'
            f'destination_version="{one.version}"'
            for one in told
            if one.ending == Outcome.ROLLED_BACK
        }
        self.mesh = Mesh()
        self.handlers = outside.handlers(
            mesh=self.mesh,
            jenkins=Jenkins(self.moment, lambda: self.machine("jenkins"), broken),
            prometheus=Prometheus(frozenset(ill)),
            moment=self.moment,
        )
        self.runs = 0

    def tell(self) -> None:
        """Tell one change after the other; nobody is to hear of it any more when the house opens."""
        for one in story.past():
            self.one(one)
        self.moment.at = self.telling.now
        while calls := operations.sweep(now=self.moment()):
            for call in calls:
                operations.deliver(message_id=call.id, worker="demo", reactions={}, now=self.moment)

    def one(self, one: story.Past) -> None:
        """Tell one change from its draft to its review."""
        engineer = ENGINEERS[story.SERVICES[one.service].team]
        filed = self.telling.now - timedelta(days=one.days, hours=6)
        starts = filed + timedelta(hours=2)
        digest = self.telling.digest(one.service, one.version)
        item = ItemDraft(one.service, one.environment, one.version, digest, *self.other_way_back(one))
        self.moment.at = filed
        change = self.telling.file(
            item,
            title=one.title,
            why=one.why,
            starts_at=starts,
            ends_at=starts + timedelta(hours=2),
            at=filed,
            by=engineer,
            change_type=one.type,
        )
        if one.ending == State.REJECTED:
            self.rejected(change, item, starts=starts)
            return
        self.telling.authorize(change, at=filed + timedelta(minutes=30))
        self.moment.at = starts + timedelta(minutes=5)
        if one.is_rollout:
            self.rollout(change, engineer)
        else:
            self.by_ci(change, item, engineer)
        if one.ending == Outcome.ROLLED_BACK:
            self.back(change)
            self.ask(item)  # CI tries the same version again: it is quarantined
        self.moment.passes(2 * 60 * 60)
        is_emergency = one.type == "emergency"
        changes.close(
            change_id=change.pk,
            actor=self.person("marta"),
            outcome=Outcome(one.ending),
            summary=EMERGENCY_SUMMARY if is_emergency else SUMMARIES[Outcome(one.ending)],
            now=self.moment(),
        )

    def other_way_back(self, one: story.Past) -> tuple[str, str]:
        """Return what customers run when the version to go back to is quarantined; else nothing, so it is proposed."""
        service = self.telling.services[one.service]
        there = catalog_queries.running(service, self.telling.environments[one.environment])
        if there is None or not there.artifact.is_quarantined:
            return "", ""
        customers = catalog_queries.running(service, self.telling.environments["production"])
        return (customers.artifact.version, customers.artifact.digest) if customers else ("", "")

    def rejected(self, change: ChangeRequest, item: ItemDraft, *, starts: datetime) -> None:
        """Security says no, and so does the gate when CI asks it all the same."""
        self.moment.passes(40 * 60)
        changes.vote(
            change_id=change.pk,
            actor=self.person("helena"),
            decision=Decision.REJECT,
            seen_digest=change.content_digest,
            reason=REFUSAL,
            now=self.moment(),
        )
        self.moment.at = starts + timedelta(minutes=5)
        self.ask(item)

    def by_ci(self, change: ChangeRequest, item: ItemDraft, engineer: str) -> None:
        """CI asks the gate, takes the permit and deploys by its own means; the engineer says that it is done."""
        decision, run = self.ask(item)
        permit = Permit.objects.get(decision=decision)
        gate.redeem(
            actor=self.machine("jenkins"), jti=permit.pk, run=run, artifact_digest=item.digest, now=self.moment()
        )
        self.moment.passes(9 * 60)
        changes.deployed(change_id=change.pk, actor=self.person(engineer), now=self.moment())
        self.moment.passes(settings.GMUD_WATCH_SECONDS)
        changes.settle_due(now=self.moment())

    def ask(self, item: ItemDraft) -> tuple[UUID, Run]:
        """Ask the gate as CI does; return the decision and the run that asked."""
        self.runs += 1
        run = Run("jenkins", f"pipelines/{item.service}#{self.runs}")
        request = Request(item.service, item.environment, item.service, item.digest, Intent.DEPLOY, run)
        return gate.ask(actor=self.machine("ci"), request=request, now=self.moment()).decision.pk, run

    def rollout(self, change: ChangeRequest, engineer: str) -> None:
        """GMUD deploys, shifts, judges and watches."""
        row = rollout.start(
            change_id=change.pk, actor=self.person(engineer), now=self.moment(), provide=self.mesh.provide
        )
        state = self.work(row.operation, seconds=settings.GMUD_VERDICT_SECONDS, follow=rollout.ended)
        row.refresh_from_db()
        if state == OperationState.SUCCEEDED and row.watch_operation:
            self.work(row.watch_operation, seconds=settings.GMUD_WATCH_SECONDS, follow=rollout.watched)

    def back(self, change: ChangeRequest) -> None:
        """Whoever is on call goes back."""
        self.moment.passes(60)
        row = rollback.begin(change_id=change.pk, actor=self.person("davi"), reason=REASON, now=self.moment())
        self.work(row.operation, seconds=settings.GMUD_VERIFY_SECONDS, follow=rollback.ended)

    def work(self, operation_id: UUID, *, seconds: float, follow: Callable[..., None]) -> OperationState:
        """Do the work of an operation to its end, looking a few times in its longest wait, and tell whoever follows.

        :raises RuntimeError: it does not end, so the story is not the one that is written
        """
        for _look in range(MOST_LOOKS):
            operations.run(operation_id=operation_id, worker="demo", handlers=self.handlers, now=self.moment)
            found = operations_queries.operation(operation_id)
            if found.state in {OperationState.SUCCEEDED, OperationState.FAILED}:
                follow(operation_id=operation_id, state=found.state.value, now=self.moment())
                return found.state
            self.moment.passes(max(seconds / LOOKS, 15.0))
        raise RuntimeError(f"The story stands still: {found}")

    def person(self, username: str) -> Actor:
        """Return a person at the moment that is told of."""
        return self.telling.actor(username, at=self.moment())

    def machine(self, name: str) -> Actor:
        """Return a machine by its token at the moment that is told of.

        :raises RuntimeError: the token does not work then
        """
        found = accounts.use_token(token=self.telling.tokens[name], now=self.moment())
        if found is None:
            raise RuntimeError(f"The token of {name} does not work.")
        return found
