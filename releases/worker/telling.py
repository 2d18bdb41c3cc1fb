"""After this, tell that: which messages of the outbox somebody is to hear of, and the sending itself."""

from collections.abc import Callable, Mapping, Sequence

from releases.core.errors import Sentence
from releases.notify import occasions
from releases.notify import services as notices
from releases.operations import queries as operations
from releases.operations.ports import Message

Reaction = Callable[[Message], None]
VERBS = (
    *("assessed", "authorized", "back_by_hand", "cancel", "close", "deployed", "expire", "failed", "reject"),
    *("report", "request_changes", "revise", "roll_back", "rolled_back", "settled", "start", "stay"),
    *("submit_emergency", "submit_standard", "supersede", "withdraw"),
)
STATES = ("failed", "needs_human", "stopped", "succeeded", "superseded")


def tell_of_change(message: Message) -> None:
    """Tell whose turn it is after a move of a change."""
    verb = message.kind.removeprefix("change.")
    occasions.moved(change_id=message.ref, verb=verb, now=operations.database_now())


def tell_of_votes(message: Message) -> None:
    """Ask whoever can still help to settle a round; thank nobody whose vote is no longer needed twice."""
    occasions.called_for_votes(now=operations.database_now())


def tell_of_work(message: Message) -> None:
    """Page when work waits for a person or ended badly."""
    occasions.work_moved(
        operation_id=message.ref,
        state=message.kind.removeprefix("operation."),
        message_id=message.id,
        now=operations.database_now(),
    )


def tell_of_shut_line(message: Message) -> None:
    """Tell whom a freeze or a lock stops."""
    occasions.line_shut(ref=message.ref, now=operations.database_now())


def tell_of_open_line(message: Message) -> None:
    """Take back what was told of a freeze or a lock."""
    occasions.line_opened(ref=message.ref, now=operations.database_now())


def tell_of_quarantine(message: Message) -> None:
    """Tell the owners of an artifact that it is refused."""
    occasions.artifact_quarantined(artifact_id=message.ref, now=operations.database_now())


def tell_of_clearing(message: Message) -> None:
    """Take back what was told of a quarantine."""
    occasions.artifact_cleared(artifact_id=message.ref, now=operations.database_now())


def tell_of_dead_message(message: Message) -> None:
    """Page about a message that was given up."""
    occasions.message_given_up(message_id=message.ref, now=operations.database_now())


def tell_of_second_person(message: Message) -> None:
    """Page for the second person that going back takes while the record is in doubt."""
    occasions.second_person_asked(change_id=message.ref, now=operations.database_now())


def tell_of_drift(message: Message) -> None:
    """Tell that the traffic of a route is not as asked for."""
    occasions.traffic_drifted(drift_id=message.ref, now=operations.database_now())


def tell_that_drift_ended(message: Message) -> None:
    """Take back what was told of a drift: the weights are those asked for again."""
    occasions.traffic_agrees(drift_id=message.ref, now=operations.database_now())


def tell_of_refused_report(message: Message) -> None:
    """Tell that a run reported of a deployment what does not fit."""
    why, run = Sentence.from_json(message.data["why"]), str(message.data["run"])
    occasions.report_refused(
        change_id=message.ref, run=run, why=why, message_id=message.id, now=operations.database_now()
    )


def send_notices(message: Message) -> None:
    """Send what is due; which message called for it does not matter."""
    notices.send_due(now=operations.database_now)


def call_back(message: Message) -> None:
    """Call who waits for the gate."""
    occasions.call_back(callback_id=message.ref, now=operations.database_now)


def tell_of_moved_traffic(message: Message) -> None:
    """Ask a person about weights that somebody set back under a release that is watched."""
    occasions.traffic_moved(
        change_id=message.ref,
        why=Sentence.from_json(message.data["why"]),
        message_id=message.id,
        now=operations.database_now(),
    )


def tell_of_routes_put_back(message: Message) -> None:
    """Ask a person what becomes of a release whose step not every route could make."""
    occasions.routes_put_back(change_id=message.ref, message_id=message.id, now=operations.database_now())


TELLING: Mapping[str, Sequence[Reaction]] = {
    **{f"change.{verb}": (tell_of_change,) for verb in VERBS},
    **{f"operation.{state}": (tell_of_work,) for state in STATES},
    "artifact.cleared": (tell_of_clearing,),
    "artifact.quarantined": (tell_of_quarantine,),
    "change.voted": (tell_of_votes,),
    "delegation.given": (tell_of_votes,),
    "delegation.revoked": (tell_of_votes,),
    "drift.ended": (tell_that_drift_ended,),
    "drift.raised": (tell_of_drift,),
    "deployment.report_refused": (tell_of_refused_report,),
    "freeze.lifted": (tell_of_open_line,),
    "gate.callback": (call_back,),
    "freeze.set": (tell_of_shut_line,),
    "lock.released": (tell_of_open_line,),
    "lock.set": (tell_of_shut_line,),
    "message.quarantined": (tell_of_dead_message,),
    "notice.due": (send_notices,),
    "person.deactivated": (tell_of_votes,),
    "policy.proposed": (tell_of_votes,),
    "policy.saved": (tell_of_votes,),
    "policy.voted": (tell_of_votes,),
    "policy.withdrawn": (tell_of_votes,),
    "rollback.asked": (tell_of_second_person,),
    "rollout.put_back": (tell_of_routes_put_back,),
    "rollout.traffic_moved": (tell_of_moved_traffic,),
}
