"""Saving a policy: the first one at once, every later one by the committee that the policy in force asks for."""

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Max

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.catalog import queries as catalog
from releases.committee import queries
from releases.committee.models import Policy, Round
from releases.committee.queries import Seen
from releases.committee.rules import policy as policies
from releases.committee.rules.coming_first import dead_ends
from releases.committee.rules.policy import Rule
from releases.committee.seats import Relation, RoundOutcome
from releases.committee.services.voting import begin, close_round
from releases.core import canonical
from releases.core.errors import Invalid, NotPermitted, Reason, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations.services import post

LONGEST_NAME = 120


def save_policy(*, actor: Actor, name: str, rules: object, now: datetime, seen: Seen | None = None) -> Policy:
    """Save a policy. The first is in force at once; a later one is put before the committee of the one in force.

    A proposal needs the seats that the policy in force asks of the hardest normal change, without its author
    (see :func:`~releases.committee.services.deciding.vote_on_policy`). ``seen`` is what its author knew of the
    policies (see :func:`~releases.committee.queries.seen_now`).

    :raises NotPermitted: the actor may not edit policies
    :raises Invalid: the rules cannot be read, with the name of every wrong field
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    :raises Stale: somebody proposed another one, or another one came into force, since ``seen``
    :raises Refused: it changes nothing, some change would be covered by no rule, or a seat could never be filled by
        distinct people
    """
    agree()
    require(actor, Right.POLICY_EDIT)
    with transaction.atomic(durable=True):
        return put_forward(actor=actor, name=name, rules=rules, now=now, seen=seen)


def put_forward(*, actor: Actor, name: str, rules: object, now: datetime, seen: Seen | None = None) -> Policy:
    """Write a policy as :func:`save_policy` says; runs inside the caller's transaction and asks for no right.

    :raises NotPermitted: a machine proposes while a policy is in force
    :raises Invalid: the rules cannot be read, with the name of every wrong field
    :raises Stale: somebody proposed another one, or another one came into force, since ``seen``; or at this moment
    :raises Refused: it changes nothing, some change would be covered by no rule, or a seat could never be filled by
        distinct people
    """
    current = locked_current()
    parsed = _checked(current, name, rules)
    document = policies.canonical_form(parsed)
    if current is not None and actor.person_id is None:
        raise NotPermitted(Sentence(_("A person must propose a new policy, so that the others can decide on it.")))
    if seen is not None:
        _nothing_moved_since(seen)
    try:
        with transaction.atomic():
            saved = Policy.objects.create(
                name=name.strip(),
                version=_next_version(current),
                rules=canonical.encode(document).decode(),
                digest=canonical.digest(document),
                based_on=current,
                created_by=actor.name,
                created_at=now,
            )
    except IntegrityError as error:  # two first policies at once: no row to wait for, so the version decides
        raise Stale(Sentence(_("Somebody saved a policy at the same moment: look at it first."))) from error
    record(
        stream=saved.stream,
        kind=Kind.POLICY_PROPOSED,
        actor=actor,
        data={"version": saved.version, "digest": saved.digest, "name": saved.name, "rules": document},
    )
    if current is None:
        put_in_force(saved, actor=actor, now=now)
        return saved
    begin(
        subject=saved.pk,
        content_digest=saved.digest,
        policy=current,
        need=policies.hardest(queries.rules_of(current)),
        excluded={str(actor.person_id): Relation.AUTHOR.value},
        now=now,
    )
    post(kind="policy.proposed", ref=saved.pk, now=now)
    return saved


def check_policy(*, actor: Actor, name: str, rules: object, seen: Seen | None = None) -> tuple[Rule, ...]:
    """Refuse what :func:`save_policy` would refuse, and write nothing; return the rules as they are understood.

    :raises NotPermitted: the actor may not edit policies
    :raises Invalid: the rules cannot be read, with the name of every wrong field
    :raises Stale: somebody proposed another one, or another one came into force, since ``seen``
    :raises Refused: it changes nothing, some change would be covered by no rule, or a seat could never be filled by
        distinct people
    """
    require(actor, Right.POLICY_EDIT)
    parsed = _checked(queries.current_policy(), name, rules)
    if seen is not None:
        _nothing_moved_since(seen)
    return parsed


def locked_current() -> Policy | None:
    """Return the policy in force, locked, inside the caller's transaction; ``None`` only when there is none.

    Whoever waited for the lock while another policy came into force finds no row at first: the one waited for is no
    longer in force, and the one that is was not there yet when the waiting began. So it is asked again.
    """
    while True:
        current = Policy.objects.select_for_update().filter(is_current=True).first()
        if current is not None or not Policy.objects.filter(is_current=True).exists():
            return current


def can_be_satisfied(rules: Iterable[Rule]) -> None:
    """Refuse rules that leave a hole, ask for people there are not, or wait for what can never come.

    :raises Refused: with a reason for each hole, or for each seat: how many are missing, and who holds it
    :raises Invalid: with the name of every field that lets a release wait for ever
    """
    rules = tuple(rules)
    environments = {card.name: card.kind for card in catalog.environments()}
    if wrong := dead_ends(rules, environments):
        raise Invalid(Sentence(_("Nobody could ever satisfy this policy: mend the fields named.")), fields=wrong)
    if uncovered := policies.holes(rules):
        reasons = [reason for refused in uncovered for reason in refused.reasons]
        raise Refused(uncovered[0].detail, reasons=reasons)
    members = queries.members().values()
    if short := policies.shortfalls(rules, {member.id: member.seats for member in members}):
        reasons = [one.reason_naming(who.name for who in members if one.seat in who.seats) for one in short]
        raise Refused(reasons[0].message, reasons=reasons)


def put_in_force(saved: Policy, *, actor: Actor, now: datetime) -> None:
    """Make it the one policy in force, inside the caller's transaction; what else was proposed waits no longer."""
    Policy.objects.filter(is_current=True).update(is_current=False)
    saved.is_current, saved.in_force_at = True, now
    saved.save(update_fields=["is_current", "in_force_at"])
    record(
        stream=saved.stream,
        kind=Kind.POLICY_SAVED,
        actor=actor,
        data={"version": saved.version, "digest": saved.digest},
    )
    for other in queries.proposed_policies():
        for round_ in Round.objects.filter(subject=other.pk, closed_at=None):
            close_round(round=round_, outcome=RoundOutcome.VOID, now=now)
        data = {"version": other.version, "successor": saved.version}
        record(stream=other.stream, kind=Kind.POLICY_SUPERSEDED, actor=actor, data=data)
    post(kind="policy.saved", ref=saved.pk, now=now)


def _next_version(current: Policy | None) -> int:
    """Return the number of a policy that is proposed now; the first has no other, whatever was written meanwhile."""
    return 1 if current is None else Policy.objects.aggregate(last=Max("version"))["last"] + 1


def _checked(current: Policy | None, name: str, rules: object) -> tuple[Rule, ...]:
    """Return the rules, once nothing speaks against them but the right and the hour."""
    if wrong := _wrong_name(name.strip()):
        raise Invalid(wrong, fields={"name": [wrong]})
    parsed = policies.parse(rules)
    _says_something_new(current, name.strip(), canonical.digest(policies.canonical_form(parsed)))
    can_be_satisfied(parsed)
    return parsed


def _wrong_name(name: str) -> Sentence | None:
    if not name:
        return Sentence(_("Give the policy a name."))
    if len(name) > LONGEST_NAME:
        return Sentence(_("Give it a name of at most %(most)s letters."), {"most": LONGEST_NAME})
    if not name.isprintable():
        return Sentence(_("There are signs in it that nobody sees. Type it again by hand."))
    return None


def _says_something_new(current: Policy | None, name: str, digest: str) -> None:
    """Call nobody to vote on what is in force already, or waits already.

    :raises Refused: (``no_change``)
    """
    for one in (current, *queries.proposed_policies()):
        if one is None or (one.name, canonical.digest(queries.written_out(one))) != (name, digest):
            continue
        if one.is_current:
            sentence = Sentence(_("This is the policy in force already: change something first."))
        else:
            text = _("Version %(version)s says exactly this already, and waits for the committee.")
            sentence = Sentence(text, {"version": one.version})
        raise Refused(sentence, reasons=[Reason("no_change", sentence)])


def _nothing_moved_since(seen: Seen) -> None:
    """Let nobody edit over the head of another: what came since is named.

    :raises Stale: with a reason for each version that came since, and for the one in force now
    """
    there = queries.seen_now()
    if there == seen:
        return
    reasons = []
    if there.in_force != seen.in_force:
        text = _("Version %(version)s is in force now.")
        reasons.append(Reason("in_force", Sentence(text, {"version": there.in_force}), severity="info"))
    for one in Policy.objects.filter(version__gt=seen.latest).order_by("version"):
        text = _("%(name)s proposed version %(version)s.")
        parts = {"name": one.created_by, "version": one.version}
        reasons.append(Reason("proposed", Sentence(text, parts), severity="info"))
    sentence = _(
        "Somebody edited the policy while you did. Nothing of yours is lost: look at what changed, then go on."
    )
    raise Stale(Sentence(sentence), reasons=reasons)
