"""Hand a draft in: assess it, find the policy's seats, open the committee's round, all in one transaction."""

import json
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.audit.actor import Actor, system
from releases.changes import appraising
from releases.changes.document import content, digest_of, items_of
from releases.changes.facts import gather
from releases.changes.machine import COMPLETE, LIFE
from releases.changes.models import ChangeRequest, Revision
from releases.changes.services.drafting import own
from releases.changes.services.moving import locked, move, wrong_state
from releases.changes.states import ChangeType, State
from releases.committee import queries as committee_queries
from releases.committee import services as committee
from releases.committee.seats import Relation
from releases.core import canonical
from releases.core.errors import Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.impact import services as impact

# Who took part and so may not decide; what stands last says why of who did several things.
RELATIONS = (
    ("implementers", Relation.IMPLEMENTER),
    ("committers", Relation.COMMITTER),
    ("authors", Relation.AUTHOR),
)
VERB_OF = {
    ChangeType.NORMAL: "submit",
    ChangeType.STANDARD: "submit_standard",
    ChangeType.EMERGENCY: "submit_emergency",
    ChangeType.RETROACTIVE: "report",
}


@transaction.atomic(durable=True)
def submit(*, change_id: UUID, actor: Actor, now: datetime, seen_digest: str = "") -> ChangeRequest:
    """Submit a draft: its revision is frozen, assessed and put before the committee.

    A standard change that the policy asks nobody about is scheduled at once; a retroactive one goes to review.

    :raises Refused: something is missing, with every reason
    :raises NotPermitted: it is somebody else's change
    :raises Stale: the content changed since it was seen
    """
    change = locked(change_id)
    own(change, actor)
    verb = VERB_OF[ChangeType(change.type)]
    if LIFE.find(verb, change.state) is None:
        raise wrong_state(change, verb)
    if seen_digest and seen_digest != change.content_digest:
        raise Stale(Sentence(_("%(name)s was edited while you looked."), {"name": change.name}))
    if verb != "report":
        _complete(change, now=now)
    change.revision_number += 1
    if verb != "report":
        _assess(change, now=now)
    change.content_digest = digest_of(change)
    Revision.objects.create(
        change=change,
        number=change.revision_number,
        content_digest=change.content_digest,
        document=canonical.encode(content(change)).decode(),
        author=change.requester,
        created_at=now,
    )
    if verb != "report":
        _open_round(change, now=now)
    move(change, verb, actor=actor, now=now, data=_appraisal_of(change))
    if change.state == State.ASSESSING:
        move(change, "assessed", actor=system("impact"), now=now, data=_appraisal_of(change))
    return change


@transaction.atomic(durable=True)
def withdraw(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> ChangeRequest:
    """Take a submitted change back to a draft; its votes no longer count.

    :raises Refused: it is past that
    :raises NotPermitted: it is somebody else's change
    """
    change = locked(change_id)
    own(change, actor)
    if change.round is not None and change.round.closed_at is None:
        committee.close_round(round=change.round, outcome="void", now=now)
    change.assessment = change.round = change.policy = None
    change.content_digest = digest_of(change)
    move(change, "withdraw", actor=actor, now=now, text={"reason": reason} if reason else {})
    return change


def _complete(change: ChangeRequest, *, now: datetime) -> None:
    """Refuse with everything that is missing, before policy and assessment stumble over it.

    :raises Refused: with every reason
    """
    facts = gather(change, now=now)
    if reasons := [reason for guard in COMPLETE if (reason := guard.reason(facts))]:
        raise Refused(reasons[0].message, reasons=reasons)


def _assess(change: ChangeRequest, *, now: datetime) -> None:
    change.assessment = impact.assess(
        subject=change.pk,
        revision_number=change.revision_number,
        facts=appraising.facts_of(change, now=now),
        now=now,
    )
    change.policy = committee_queries.current_policy()


def _open_round(change: ChangeRequest, *, now: datetime) -> None:
    if change.policy is None or change.assessment is None:
        raise Refused(Sentence(_("There is no policy yet: somebody who may edit policies must write one first.")))
    change.round = committee.open_round(
        subject=change.pk,
        content_digest=change.content_digest,
        policy=change.policy,
        environment_kinds={item.environment.kind for item in items_of(change)},
        level=change.assessment.level,
        change_type=change.type,
        excluded=excluded(change),
        now=now,
    )


def excluded(change: ChangeRequest) -> dict[str, str]:
    """Return who may not vote, by person id, each with the first relation that says why.

    Whoever was to implement any submitted revision, or had committed to it, stays excluded, as its authors do.
    """
    submitted = [json.loads(document) for document in change.revisions.values_list("document", flat=True)]
    relations: dict[str, str] = {}
    for name, relation in RELATIONS:
        people = {str(pk) for pk in getattr(change, name).values_list("pk", flat=True)}
        people.update(*(document.get(name, ()) for document in submitted))
        relations |= dict.fromkeys(people, relation)
    return relations | {str(change.requester_id): Relation.REQUESTER}


def _appraisal_of(change: ChangeRequest) -> dict[str, object]:
    if change.assessment is None:
        return {}
    one = change.assessment
    return {"impact": one.impact, "likelihood": one.likelihood, "level": one.level}
