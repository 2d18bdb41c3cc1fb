"""Call who waits for the gate: one post over HTTP, outside any transaction, repeated as letters are, then given up.

What is posted is an event as webhooks get it, with one id over all tries. It is not signed, because it says nothing
that anybody needs to believe: ask the gate again (docs/decisions/0015).
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from releases.catalog.rules import host_of
from releases.changes import queries as changes
from releases.core.errors import GmudError, Sentence, Unreachable
from releases.core.http import Allowance, Door
from releases.core.words import mark as _
from releases.gate import services as gate
from releases.gate.services import Call
from releases.notify import rules
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import people
from releases.notify.ports import Later
from releases.notify.rules.answers import trouble_of
from releases.notify.services import telling

CHANGED = "gate.answer_changed"
UNQUOTED = "–"  # many a server quotes the path it was asked for, and the path may be a secret


def call_back(*, callback_id: UUID, now: Callable[[], datetime]) -> None:
    """Make the call, if it is still to be made; safe to repeat."""
    due = gate.begin_call(callback_id)
    if due is None:
        return
    try:
        _speak(due, now())
    except GmudError as error:
        _failed(due, error, now())
    else:
        gate.call_arrived(due.id, now=now())


def _speak(due: Call, now: datetime) -> None:
    event = {
        "type": CHANGED,
        "timestamp": due.ready_at.isoformat(),
        "data": {"decision_id": str(due.decision), "change_request": due.change, "verdict": due.verdict},
    }
    headers = {
        "Content-Type": "application/json",
        "webhook-id": str(due.id),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    door = Door(
        name=f"callback {urlsplit(due.url).netloc}", origin=due.url, headers={}, allowance=Allowance.from_environment()
    )
    content = json.dumps(event, separators=(",", ":")).encode()
    reply = door.call("POST", "/" if due.url.endswith("/") else "", headers=headers, content=content)
    if trouble := trouble_of(reply.status, retry_after=reply.headers.get("retry-after", ""), said=UNQUOTED):
        raise trouble


def _failed(due: Call, error: GmudError, now: datetime) -> None:
    """Have it tried again later; a clear no and the last failure are the end of it, and somebody hears of that."""
    asked = timedelta(seconds=error.seconds) if isinstance(error, Later) else None
    wait = rules.next_try(due.attempts, is_page=False, asked=asked) if isinstance(error, Unreachable) else None
    gate.call_failed(
        due.id,
        str(error),
        again_at=now + wait if wait else None,
        now=now,
        on_giving_up=lambda: _tell(due, error, now),
    )


def _tell(due: Call, error: GmudError, now: datetime) -> None:
    """Tell who runs the change that somebody still waits who should not; inside the transaction that gives it up."""
    change = changes.by_id(due.change_id)
    reason = Sentence(
        _("The gate could not tell %(host)s that it would answer about %(name)s now: have it ask the gate again."),
        {"host": host_of(due.url), "name": due.change},
    )
    why = Sentence(_("The last error: %(error)s"), {"error": str(error)})
    occasion = Occasion(
        Topic.CALLBACK_FAILED,
        f"callback:{due.id}",
        reason,
        (why,),
        f"/changes/{change.number}",
        people.services_of(change),
    )
    telling.tell_inside(occasion=occasion, people=people.of_change(Topic.CALLBACK_FAILED, change), now=now)
