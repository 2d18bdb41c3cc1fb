"""Tell somebody who waits, once, that the gate's answer to their question is no longer to wait.

While it is still to wait, the question is asked again as often as somebody who polls would ask it; nothing is stored of
that. When the answer is another one, that is written down with a message in the outbox, and the message is carried out
by the room of notices, outside any transaction. What is told carries no permit (docs/decisions/0015).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from uuid import UUID

from django.db import transaction

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.catalog.rules import host_of, is_ip, origin_problem
from releases.changes.models import ChangeRequest
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.http import Allowance
from releases.core.words import mark as _
from releases.gate import queries
from releases.gate.facts import asked_by, gather
from releases.gate.models import LONGEST_URL, Callback, GateDecision
from releases.gate.rules import ASK_AGAIN, Decision, decide, without_a_key
from releases.gate.states import CallbackState, Verdict
from releases.operations.services import post
from releases.operations.trouble import AWAY, tell

READY, QUEUE = "gate.callback", "notify"
AT_ONCE, MOST = 50, 20
HTTPS = "https://"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is to be made now: where to, about which decision, what the answer is, and which try this is."""

    id: UUID
    url: str
    decision: UUID
    change_id: UUID
    change: str
    verdict: str
    ready_at: datetime
    attempts: int


def check_address(url: str) -> None:
    """Refuse an address that nobody may be called at; where a name leads is looked at with the call itself.

    :raises Invalid: with the field ``callback_url``
    """
    if url and (problem := _problem(url)):
        raise Invalid(Sentence(_("Some fields need your attention.")), fields={"callback_url": [problem]})


def _problem(url: str) -> Sentence | None:
    if len(url) > LONGEST_URL:
        return Sentence(_("Give an address of at most %(most)s letters."), {"most": LONGEST_URL})
    if problem := origin_problem(url):
        return problem
    host, allowance = host_of(url), Allowance.from_environment()
    if not url.startswith(HTTPS) and not _is_ours(host, allowance):
        return Sentence(_("It starts with https://, or with http:// and an address in GMUD_OUTBOUND_NETWORKS."))
    if allowance.hosts and host not in allowance.hosts:
        sentence = _("%(host)s is not among the hosts the operator allows (GMUD_OUTBOUND_HOSTS).")
        return Sentence(sentence, {"host": host})
    try:
        if is_ip(host):
            allowance.address_for(host, 443)
    except GmudError as error:
        return error.detail
    return None


def _is_ours(host: str, allowance: Allowance) -> bool:
    """Say whether this is an address, in numbers, in a network that the operator opened."""
    return is_ip(host) and any(ip_address(host) in network for network in allowance.networks)


def address_facts(url: str) -> dict[str, str]:
    """Return what the record says of an address: its path may be a secret, and nothing is taken out of the record."""
    return {"host": host_of(url), "digest": f"sha256:{sha256(url.encode()).hexdigest()}"}


def keep(decision: GateDecision, *, url: str, question: str, asked_change: int | None, now: datetime) -> None:
    """Write down whom to call about an answer, inside the caller's transaction; of any but *wait* there is no call.

    :raises Invalid: so many wait for an answer about this change that one more is not taken
    """
    if url and decision.change is not None and decision.verdict == Verdict.WAIT:
        _make_sure_of_room(decision.change, url=url, question=question)
        Callback.objects.update_or_create(
            url=url,
            question=question,
            state=CallbackState.WAITING,
            defaults={
                "decision": decision,
                "change": decision.change,
                "asked_change": asked_change,
                "look_at": now + timedelta(seconds=decision.retry_after_seconds or ASK_AGAIN.total_seconds()),
            },
        )


def _make_sure_of_room(change: ChangeRequest, *, url: str, question: str) -> None:
    """Refuse one more than a change may have, whose row the caller holds: each is asked again until it ends."""
    others = Callback.objects.filter(change=change, state=CallbackState.WAITING).exclude(url=url, question=question)
    if others.count() >= MOST:
        sentence = Sentence(_("%(most)s wait for an answer about this change already. Poll instead."), {"most": MOST})
        raise Invalid(Sentence(_("Some fields need your attention.")), fields={"callback_url": [sentence]})


def look_again(*, now: datetime) -> int:
    """Ask every question again that is due, and have those called whose answer is another one; return how many.

    One that fails does not keep the others from their turn, and comes again.
    """
    due = Callback.objects.filter(state=CallbackState.WAITING, look_at__lte=now).order_by("look_at")
    return sum(_try(pk, now) for pk in list(due.values_list("pk", flat=True)[:AT_ONCE]))


def _try(callback_id: UUID, now: datetime) -> bool:
    try:
        return _look(callback_id, now)
    except AWAY:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one question raises, the others are asked
        tell("callback_look_failed", error, callback=str(callback_id))
        Callback.objects.filter(pk=callback_id).update(look_at=now + ASK_AGAIN)
        return False


@transaction.atomic(durable=True)
def _look(callback_id: UUID, now: datetime) -> bool:
    waiting = Callback.objects.select_for_update(of=("self",), skip_locked=True).select_related("decision", "change")
    row = waiting.filter(pk=callback_id, state=CallbackState.WAITING, look_at__lte=now).first()
    if row is None:
        return False
    answer = _answer(row, now)
    if answer.verdict is Verdict.WAIT:
        row.look_at = now + (answer.retry_after or ASK_AGAIN)
        row.save(update_fields=["look_at"])
        return False
    row.state, row.verdict, row.look_at = CallbackState.READY, answer.verdict, now
    row.save(update_fields=["state", "verdict", "look_at"])
    _record(row, Kind.CALLBACK_READY)
    post(kind=READY, ref=row.pk, now=now, queue=QUEUE)
    return True


def _answer(row: Callback, now: datetime) -> Decision:
    """Return what the gate would say now; what cannot even be asked any more is a no."""
    try:
        facts, _change = gather(asked_by(row.decision, change_number=row.asked_change), now=now)
    except Invalid:
        return Decision(Verdict.DENY)
    found = decide(facts, now)
    return found if queries.can_sign() else without_a_key(found)


@transaction.atomic(durable=True)
def begin_call(callback_id: UUID) -> Call | None:
    """Count a try before it is made and return what is to be told, ``None`` when that is over."""
    row = _ready(callback_id)
    if row is None:
        return None
    row.attempts += 1
    row.save(update_fields=["attempts"])
    change = row.change
    return Call(row.pk, row.url, row.decision_id, change.pk, change.name, row.verdict, row.look_at, row.attempts)


@transaction.atomic(durable=True)
def call_arrived(callback_id: UUID, *, now: datetime) -> None:
    """Write that it was told; nobody is told again."""
    if (row := _ready(callback_id)) is not None:
        row.last_error = ""
        _end(row, CallbackState.TOLD, Kind.CALLBACK_ARRIVED, now=now)


@transaction.atomic(durable=True)
def call_failed(
    callback_id: UUID, error: str, *, again_at: datetime | None, now: datetime, on_giving_up: Callable[[], object]
) -> None:
    """Write why it could not be told, and have it tried at that moment, or give it up and say so in one transaction."""
    row = _ready(callback_id)
    if row is None:
        return
    row.last_error = error[:500]
    if again_at is not None:
        row.save(update_fields=["last_error"])
        post(kind=READY, ref=row.pk, now=now, queue=QUEUE, available_at=again_at)
        return
    _end(row, CallbackState.UNDELIVERED, Kind.CALLBACK_FAILED, now=now)
    on_giving_up()


def _ready(callback_id: UUID) -> Callback | None:
    ready = Callback.objects.select_for_update(of=("self",)).select_related("change")
    return ready.filter(pk=callback_id, state=CallbackState.READY).first()


def _end(row: Callback, state: CallbackState, kind: Kind, *, now: datetime) -> None:
    """Write how a call ended, and forget the address: nobody needs it any more."""
    _record(row, kind)
    row.state, row.ended_at, row.url = state, now, ""
    row.save(update_fields=["state", "ended_at", "url", "last_error"])


def _record(row: Callback, kind: Kind) -> None:
    data = {
        "number": row.change.number,
        "state": row.change.state,
        "decision": str(row.decision_id),
        "verdict": row.verdict,
        "callback": address_facts(row.url),
        "attempts": row.attempts,
    }
    text = {"error": row.last_error} if kind is Kind.CALLBACK_FAILED else {}
    record(stream=row.change.stream, kind=kind, actor=system("gate"), data=data, text=text)
