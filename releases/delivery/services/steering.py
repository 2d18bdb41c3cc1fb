"""Ask something of a run, answer what it asks, and write down that its system heard it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.services import require
from releases.audit.actor import Actor, ActorKind, system
from releases.audit.kinds import Kind
from releases.core.errors import Invalid, NotPermitted, Sentence
from releases.core.words import mark as _
from releases.delivery import rules
from releases.delivery.models import Deployment, Wish
from releases.delivery.ports import Question
from releases.delivery.services.following import look_soon
from releases.delivery.services.telling import locked, refused, tell
from releases.delivery.states import ANSWER, STOPS, Act

PEOPLES = frozenset({Act.TERMINATE, Act.KILL})


@transaction.atomic(durable=True)
def ask(*, deployment_id: UUID, act: Act, actor: Actor, now: datetime) -> Wish:
    """Ask something of the run of a deployment; the worker passes that on with its next look.

    Asked again before it was passed on, it stays one wish. No harder way to end a run follows from a softer one.

    :raises NotPermitted: the actor may neither release nor, on the way back, go back; a machine never ends it hard
    :raises Missing: there is no such deployment
    :raises Refused: it has ended, others began it, or its CI system cannot do that now
    """
    if act in PEOPLES and actor.kind is ActorKind.MACHINE:
        raise NotPermitted(
            Sentence(_("People decide to end a run this hard. Ask for it on the page of the deployment."))
        )
    look_soon(deployment_id, now=now, is_insisted=True)  # before the row: workers lock in that order, too
    deployment = _steered(deployment_id, actor)
    if act not in deployment.acts and act is not Act.STOP:
        raise refused(
            "act_not_possible",
            Sentence(_("The CI system cannot do that with this run now. Look at it again for what it can do.")),
        )
    if pending := deployment.wishes.filter(act=act.value, passed_at=None).first():
        return pending
    if act in STOPS and deployment.stop_asked_at is None:
        deployment.stop_asked_at, deployment.stop_asked_by = now, actor.name
        deployment.save(update_fields=("stop_asked_at", "stop_asked_by"))
    tell(Kind(f"deployment.{act.value}_asked"), deployment, actor)
    return deployment.wishes.create(act=act.value, asked_by=actor.name, asked_at=now)


@transaction.atomic(durable=True)
def answer(
    *,
    deployment_id: UUID,
    question: str,
    goes_on: bool,
    actor: Actor,
    now: datetime,
    values: Mapping[str, str] | None = None,
    note: str = "",
) -> Wish:
    """Answer what the run of a deployment asks; the worker passes that on with its next look.

    Passwords are not taken: what is kept here would show them. What a run asks is judged by people, as votes are.

    :raises NotPermitted: the actor is a machine, or may neither release nor, on the way back, go back
    :raises Missing: there is no such deployment
    :raises Refused: it has ended, others began it, it asks nothing like that (any more), or was answered
    :raises Invalid: a value that the question does not take, by its name
    """
    if actor.kind is ActorKind.MACHINE:
        raise NotPermitted(Sentence(_("People judge what a run asks. Answer it on the page of the deployment.")))
    look_soon(deployment_id, now=now, is_insisted=True)
    deployment = _steered(deployment_id, actor)
    asked = next((one for one in map(Question.from_json, deployment.questions) if one.id == question), None)
    if asked is None or deployment.wishes.filter(question=question, refusal={}).exists():
        raise refused("question_closed", Sentence(_("This question is no longer open. Look at the run again.")))
    if wrong := rules.misgiven(asked, values or {}):
        raise Invalid(Sentence(_("The question does not take these values.")), fields=wrong)
    tell(Kind.DEPLOYMENT_ANSWERED, deployment, actor)
    said = {"question": question, "text": asked.text, "goes_on": goes_on, "values": dict(values or {}), "note": note}
    return deployment.wishes.create(act=ANSWER, asked_by=actor.name, asked_at=now, **said)


@transaction.atomic(durable=True)
def passed_on(*, wish_id: UUID, refusal: Sentence | None, now: datetime) -> None:
    """Write down that the CI system heard a wish, and why it would not, where it would not."""
    wish = Wish.objects.select_for_update().select_related("deployment").get(pk=wish_id)
    wish.passed_at, wish.refusal = now, refusal.as_json() if refusal else {}
    wish.save(update_fields=("passed_at", "refusal"))
    if not refusal:
        return
    deployment = wish.deployment
    if wish.act in STOPS and not deployment.wishes.filter(act__in=STOPS, refusal={}).exists():
        deployment.stop_asked_at, deployment.stop_asked_by = None, ""
        deployment.save(update_fields=("stop_asked_at", "stop_asked_by"))
    tell(Kind.DEPLOYMENT_ACT_REFUSED, deployment, system("worker"))


def _steered(deployment_id: UUID, actor: Actor) -> Deployment:
    """Return the row, held, for who may ask something of its run; what has ended, or is of others, is refused."""
    deployment = locked(deployment_id)
    require(actor, *rules.rights_to_steer(deployment.intent))
    if deployment.ended_at is not None:
        raise refused("already_ended", Sentence(_("This deployment has ended; nothing can be asked of it any more.")))
    if deployment.is_reported:
        raise refused("not_ours", Sentence(_("Others began this run. Ask them, or do it in their system.")))
    return deployment
