"""Releases that move, wait for somebody, or came back: begun through the services; no worker carries them on."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from releases.changes.models import ChangeRequest
    from releases.operations.models import Operation
    from tests.factories.changes import House

MOMENT = timedelta(seconds=1)
WAITS, FAILED = "Jenkins answers 503: its queue is paused.", "The job ended red."


def moves(house: "House", now: datetime) -> None:
    """Leave a release running, one whose way back waits for a person, one that failed, and one ended by hand.

    One more is to be reviewed.
    """
    from releases.changes.states import State
    from releases.rollback import services as rollback
    from releases.rollback.states import ByHand
    from releases.rollout import services as rollout
    from tests.factories.changes import a_change

    on_call = house.actor("on_call", signed_in_at=now)
    a_change(house, at=State.REVIEWING, title="Rotate the key of the ledger")
    running = _scheduled(house, "userservice", "Sign in with a passkey")
    rollout.start(change_id=running.pk, actor=house.actor("manager"), now=now + 2 * MOMENT)
    _asks(house, running, now=now + 3 * MOMENT)
    for service, title, state, why in (
        ("transactionhistory", "Answer from the replica", "needs_human", WAITS),
        ("loadbalancer", "Drain before stopping", "failed", FAILED),
        ("ledgerdb", "Vacuum at night", "failed", FAILED),
    ):
        change = _scheduled(house, service, title)
        rollout.start(change_id=change.pk, actor=house.actor("manager"), now=now + 2 * MOMENT)
        row = rollback.begin(change_id=change.pk, actor=on_call, reason="500s", now=now + 3 * MOMENT)
        _let(row.operation, state, why, now=now)
        rollback.ended(operation_id=row.operation, state=state, now=now + 4 * MOMENT)
    rollback.end_by_hand(
        change_id=change.pk,
        how=ByHand.BACK,
        actor=on_call,
        reason="That job can never run again.",
        evidence="https://wiki.example.com/7",
        now=now + 5 * MOMENT,
    )


def _asks(house: "House", change: "ChangeRequest", *, now: datetime) -> None:
    """Let the run of a release ask something, and refuse the first answer."""
    from releases.core.errors import Sentence
    from releases.delivery import services
    from releases.delivery.models import Deployment
    from releases.delivery.ports import Handle, Parameter, Question, Sighting, StageView
    from releases.delivery.states import STOPS, State

    row = Deployment.objects.filter(change_id=change.pk)[0]
    key, asked = (
        "gmud-0a1b2c",
        Question("Ask1", "Let customers in?", ("marta",), (Parameter("SHARE", "10", ("10", "50")),)),
    )
    seen = Sighting(
        state=State.WAITING_INPUT,
        handle=Handle(key, row.job, ticket="12", run="7"),
        url="https://jenkins.example.com/job/team/job/deploy/7/",
        stages=(
            StageView("Redeem permit", State.SUCCEEDED, 4),
            StageView("Warm the caches", State.UNCHANGED),
            StageView("Let customers in", State.WAITING_INPUT, 95),
        ),
        progress=0.4,
        left=95,
        questions=(asked,),
        acts=STOPS,
    )
    services.record(deployment_id=row.pk, op_key=key, sighting=seen, now=now)
    said = {"deployment_id": row.pk, "question": asked.id, "goes_on": True, "actor": house.actor("manager")}
    wish = services.answer(**said, now=now)
    refusal = Sentence("Jenkins refuses: %(why)s", {"why": "You need to be marta to submit this."})
    services.passed_on(wish_id=wish.pk, refusal=refusal, now=now + MOMENT)


def _scheduled(house: "House", name: str, title: str) -> "ChangeRequest":
    """Return an authorized change of a service of its own, which a job deploys, its window about to open."""
    from releases.catalog import services as catalog
    from releases.catalog.kinds import Purpose
    from releases.catalog.models import Connection
    from releases.changes.services import ItemDraft
    from releases.changes.states import State
    from tests.factories.accounts import SETUP
    from tests.factories.catalog import a_digest, a_service, an_artifact
    from tests.factories.changes import a_change

    service, jenkins = a_service(name), Connection.objects.get(name="jenkins")
    place = {"actor": SETUP, "service_id": service.pk, "environment_id": house.environment.pk, "now": house.now}
    catalog.note_running(**place, artifact_id=an_artifact(service, "v1.4.2").pk)
    job = {"job": f"team/deploy-{name}", "parameters": {}}
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=jenkins.pk, settings=job)
    item = ItemDraft(name, house.environment.name, "v1.5.0", a_digest())
    return a_change(house, at=State.SCHEDULED, title=title, items=(item,), starts_at=house.now + MOMENT)


def _let(operation: "Operation", state: str, why: str, *, now: datetime) -> None:
    """Leave the work of a way back as a worker would that got no further."""
    from releases.operations.models import Operation, Step

    times = {"ended_at": now + 4 * MOMENT} if state == "failed" else {}
    Operation.objects.filter(pk=operation).update(state=state, begun_at=now + 3 * MOMENT, **times)
    Step.objects.filter(operation=operation, kind="delivery.deploy").update(
        state=state, note={"text": why, "parts": {}}, error=why
    )
