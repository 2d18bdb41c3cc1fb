"""Rounds and votes. All of these run inside the caller's transaction, under the lock of the subject.

The caller records the event: it knows the stream, and what the vote moved.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from releases.audit.actor import Actor, ActorKind
from releases.committee import queries
from releases.committee.models import Policy, Round, Vote
from releases.committee.rules import Standing, Tally, Way, signed_in_freshly, signed_in_twice, tally, ways, why_no_way
from releases.committee.rules.policy import Need
from releases.committee.seats import NEEDS_REASON, Decision, RoundOutcome
from releases.core.errors import Invalid, NotPermitted, Reason, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.core.words import plural

SIGN_IN_AGAIN = plural(
    "The risk is high: sign in again, then vote within %(minutes)s minute.",
    "The risk is high: sign in again, then vote within %(minutes)s minutes.",
    by="minutes",
)


def open_round(
    *,
    subject: UUID,
    content_digest: str,
    policy: Policy,
    environment_kinds: Iterable[str],
    level: str,
    change_type: str,
    excluded: Mapping[str, str],
    now: datetime,
) -> Round:
    """Call for votes on exactly this content, inside the caller's transaction; an open round on the subject ends.

    ``excluded`` maps the id of each person who took part to how (see :class:`~releases.committee.seats.Relation`).

    :raises Refused: (``policy_error``) the policy does not cover this or cannot be read
    """
    need = queries.required(policy, environment_kinds=environment_kinds, level=level, change_type=change_type)
    return begin(subject=subject, content_digest=content_digest, policy=policy, need=need, excluded=excluded, now=now)


def begin(
    *, subject: UUID, content_digest: str, policy: Policy, need: Need, excluded: Mapping[str, str], now: datetime
) -> Round:
    """Open a round with these needs, inside the caller's transaction."""
    Round.objects.filter(subject=subject, closed_at=None).update(closed_at=now, outcome=RoundOutcome.VOID)
    return Round.objects.create(
        subject=subject,
        content_digest=content_digest,
        policy=policy,
        needed=dict(need.seats),
        excluded=dict(excluded),
        is_pre_approved=need.is_pre_approved,
        fresh_sign_in_minutes=need.fresh_sign_in_minutes,
        second_factor=need.second_factor,
        opened_at=now,
    )


def close_round(*, round: Round, outcome: str, now: datetime) -> None:  # noqa: A002  # the word for a call for votes
    """End a round inside the caller's transaction; one that has ended stays as it ended."""
    values = {"closed_at": now, "outcome": RoundOutcome(outcome)}
    if Round.objects.filter(pk=round.pk, closed_at=None).update(**values):
        round.closed_at, round.outcome = now, RoundOutcome(outcome)


def cast(
    *,
    round: Round,  # noqa: A002  # the word for a call for votes
    actor: Actor,
    decision: Decision,
    digest: str,
    now: datetime,
    reason: str = "",
    excluded: Mapping[str, str] | None = None,
    seat: str = "",
    for_person: UUID | None = None,
) -> Tally:
    """Cast one person's vote inside the caller's transaction, and count again.

    Without ``seat`` and ``for_person`` the first seat that still needs somebody is taken, own seats before lent ones.
    ``excluded`` adds people who took part since the round was opened. The caller closes the round when it is settled.

    :raises NotPermitted: no person acts, they took part, hold no seat asked for, or must sign in again (a reason with
        the code ``machine``, ``self_approval``, ``no_seat``, ``not_lent`` or ``sign_in_again``)
    :raises Stale: the round is about another content
    :raises Refused: the round is over, this person has voted already, or a reason is missing
    :raises Invalid: the reason holds a NUL character
    """
    person_id = actor.person_id
    if actor.kind is not ActorKind.PERSON or person_id is None:
        raise _not_permitted("machine", Sentence(_("A vote is a person's act: machines and tokens cannot vote.")))
    held = Round.objects.select_for_update().get(pk=round.pk)  # closes the race last vote × last vote
    _open_for(held, digest)
    if excluded and not excluded.items() <= held.excluded.items():
        held.excluded = {**held.excluded, **excluded}
        held.save(update_fields=["excluded"])
    standing, ballots = queries.standing_for(held), queries.ballots_on(held)
    before = tally(needed=held.needed, ballots=ballots, standing=standing, now=now)
    way = _way(person_id, held, before, standing, now=now, seat=seat, for_person=for_person)
    _signed_in(actor, held, now)
    if "\x00" in reason:
        sentence = Sentence(_("Remove the NUL character."))
        raise Invalid(sentence, fields={"reason": [sentence]})
    if decision in NEEDS_REASON and not reason.strip():
        raise _refused("reason_missing", Sentence(_("Say why: whoever asked must know what to change.")))
    try:
        with transaction.atomic():
            Vote.objects.create(
                round=held,
                subject=held.subject,
                content_digest=held.content_digest,
                person_id=person_id,
                for_person_id=way.for_person,
                account=actor.account,
                seat=way.seat,
                decision=Decision(decision),
                reason=reason.strip(),
                signed_in_at=actor.signed_in_at,
                cast_at=now,
            )
    except IntegrityError as error:
        twice = Sentence(_("You have voted already; one person votes once, from any account."))
        raise _refused("already_voted", twice) from error  # two accounts of one person at once
    return queries.tally_of(held, now)


def _open_for(held: Round, digest: str) -> None:
    if held.content_digest != digest:
        raise Stale(Sentence(_("This vote is about another content: look again, then decide.")))
    if held.closed_at is not None:
        raise _refused("round_closed", Sentence(_("The committee has decided already: this round is over.")))


def _signed_in(actor: Actor, held: Round, now: datetime) -> None:
    minutes = held.fresh_sign_in_minutes
    if signed_in_freshly(actor.signed_in_at, within_minutes=minutes, now=now):
        if signed_in_twice(actor.methods) or not held.second_factor:
            return
        raise _not_permitted("sign_in_again", Sentence(_("Sign in again with a second factor, then vote.")))
    raise _not_permitted("sign_in_again", Sentence(SIGN_IN_AGAIN, {"minutes": minutes}))


def _way(
    person_id: UUID,
    held: Round,
    before: Tally,
    standing: Standing,
    *,
    now: datetime,
    seat: str,
    for_person: UUID | None,
) -> Way:
    """Return on which seat, and for whom, this vote is cast; the refusal when there is no such way."""
    possible = ways(person_id, needed=held.needed, ballots=before.ballots, standing=standing, now=now)
    chosen = [
        way
        for way in possible
        if (not seat or way.seat == seat) and (for_person is None or way.for_person == for_person)
    ]
    if chosen:
        still = {one.seat for one in before.seats if one.missing}
        return min(chosen, key=lambda way: way.seat not in still)  # the first of equals: own before lent
    reason = why_no_way(
        person_id,
        needed=held.needed,
        ballots=before.ballots,
        standing=standing,
        now=now,
        seat=seat,
        for_person=for_person,
    )
    if reason.code == "already_voted":
        raise Refused(reason.message, reasons=[reason])
    raise NotPermitted(reason.message, reasons=[reason])


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])


def _not_permitted(code: str, sentence: Sentence) -> NotPermitted:
    return NotPermitted(sentence, reasons=[Reason(code, sentence)])
