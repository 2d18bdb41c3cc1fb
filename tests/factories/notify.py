"""Notices, the people who get them, and the places they go to: a mail server and HTTP servers on loopback."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from gmud.sandbox.server import Answer, Call, Sandbox, json_answer
from releases.accounts.models import Person
from releases.core.errors import Sentence
from releases.notify import services
from releases.notify.facts import Occasion
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel, Notice
from releases.notify.ports import Item, Letter
from releases.notify.services import ChannelDraft, Wanted
from releases.notify.states import NoticeState
from releases.operations import services as operations
from releases.operations.models import OutboxMessage
from releases.worker.reactions import REACTIONS
from tests.factories.accounts import NOW, SETUP

SLACK_PATH = "/services/T0000/B0000/canary-slack-0123456789"
TEAMS_PATH = "/workflows/canary-teams-0123456789?sig=0123456789"
_numbers = count(1)


@dataclass
class Clock:
    """A clock that only moves when told; each look at it costs nothing."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def tick(self, **span: float) -> datetime:
        """Let time pass and return what it is then."""
        self.at += timedelta(**span)
        return self.at


class Listener(Sandbox):
    """Takes posts, keeps each with its raw bytes, and answers as told."""

    title = "listener"

    def __init__(self, *, status: int = 200, headers: dict[str, str] | None = None, body: str = "ok") -> None:
        """Answer well unless told otherwise."""
        super().__init__()
        self.status, self.headers, self.body = status, headers or {}, body
        self.heard: list[Call] = []

    def answer(self, call: Call) -> Answer:
        """Keep the call and answer."""
        self.heard.append(call)
        return Answer(self.status, self.body.encode(), {"Content-Type": "text/plain", **self.headers})

    def bodies(self) -> list[Any]:
        """Return what was posted, as JSON."""
        return [json.loads(call.body) for call in self.heard]


def a_letter(*items: Item, **facts: Any) -> Letter:
    """Return a letter with these items, or with one."""
    return Letter(
        **{
            "id": "01a1fcc1-8122-7295-b3f0-5a99d46f3d76",
            "thread": "change:1",
            "subject": "CHG-1042 waits.",
            "items": items or (Item("CHG-1042 waits.", ("One line.",), "https://gmud.example.com/changes/1042"),),
            "open": "Open in GMUD",
            "footer": "GMUD tells this channel what it subscribed to.",
            "footer_url": "https://gmud.example.com/settings/channels",
            "told_at": NOW,
            "language": "en",
            **facts,
        }
    )


def an_occasion(topic: Topic = Topic.APPROVED, *, case: str = "", **facts: Any) -> Occasion:
    """Return something worth telling."""
    number = next(_numbers)
    reason = facts.pop("reason", Sentence("Thing %(n)s happened.", {"n": number}))
    return Occasion(
        topic, case or f"thing:{number}:{topic}", reason, link=facts.pop("link", f"/changes/{number}"), **facts
    )


def told(*people: Person, topic: Topic = Topic.APPROVED, now: datetime = NOW, **facts: Any) -> str:
    """Tell these people something, and return its case."""
    occasion = an_occasion(topic, **facts)
    services.tell(occasion=occasion, people=[person.pk for person in people], now=now)
    return occasion.case


def a_channel(
    kind: ChannelKind = ChannelKind.WEBHOOK,
    *topics: Topic,
    origin: str = "https://hooks.example.com",
    secret: str = "",
    team_id: UUID | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> Channel:
    """Open a channel that hears these topics."""
    paths = {ChannelKind.SLACK: SLACK_PATH, ChannelKind.TEAMS: TEAMS_PATH, ChannelKind.WEBHOOK: "/gmud"}
    draft = ChannelDraft(
        name=f"channel-{next(_numbers)}",
        kind=kind,
        address=fields.pop("address", "") or f"{origin}{paths[kind]}",
        secret=secret,
        team_id=team_id,
        wanted=fields.pop("wanted", None) or Wanted(frozenset(topics)),
        **fields,
    )
    return services.open_channel(actor=SETUP, fields=draft, now=now)[0]


def states(case: str) -> list[str]:
    """Return how everything told of a case stands, oldest first."""
    return list(Notice.objects.of_case(case).order_by("told_at", "pk").values_list("state", flat=True))


def verified(call: Call, secret: str) -> Any:
    """Return the event of a signed call after checking the signature as the specification says, by code of our own."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), call.body))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    signatures = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    assert any(version == "v1" and hmac.compare_digest(given, expected) for version, given in signatures)
    return json.loads(call.body)


def work(clock: Clock, *, turns: int = 20) -> None:
    """Deliver what waits in the outbox at this moment, and what follows from it, as a worker does."""
    for _turn in range(turns):
        due = list(OutboxMessage.objects.due(clock()).order_by("available_at"))
        if not due:
            return
        for message in due:
            operations.deliver(message_id=message.pk, worker="one", reactions=REACTIONS, now=clock)


def pending(person: Person) -> list[Notice]:
    """Return what waits to be sent to a person."""
    return list(Notice.objects.filter(person=person, state=NoticeState.PENDING).order_by("due_at"))


__all__ = ["json_answer"]
