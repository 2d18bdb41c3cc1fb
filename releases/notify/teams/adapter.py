"""Letters as Teams takes them: a message with one adaptive card.

Text stands in ``RichTextBlock``, which knows no Markdown: nothing in a title becomes a link. A message holds 28 KB.
The older connectors answer 200 also when they were throttled, and say so in the text of the answer.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from releases.core.errors import Unreachable
from releases.core.http import Reply
from releases.notify.ports import Address, Item, Letter, Post
from releases.notify.rules.answers import trouble_of

CARD = "application/vnd.microsoft.card.adaptive"
SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
VERSION = "1.2"
MOST_BYTES = 24_000
THROTTLED = "returned HTTP error"


class Teams:
    """A Poster for incoming webhooks and for workflows that begin with one."""

    def post(self, letter: Letter, *, to: Address, now: datetime) -> Post:
        """Return the call that shows the letter as a card; a digest too large for one loses its last items."""
        items = letter.items
        content = _message(letter, items)
        while len(content) > MOST_BYTES and len(items) > 1:
            items = items[:-1]
            content = _message(letter, items)
        return Post(to.path + to.secrets[0], content, {"Content-Type": "application/json"})

    def check(self, reply: Reply) -> None:
        """Read the answer: a connector says 200, a workflow 202."""
        if trouble := trouble_of(reply.status, retry_after=reply.headers.get("retry-after", ""), said=reply.text):
            raise trouble
        if THROTTLED in reply.text:
            raise Unreachable(reply.text[:200])


def _message(letter: Letter, items: tuple[Item, ...]) -> bytes:
    card = {
        "$schema": SCHEMA,
        "type": "AdaptiveCard",
        "version": VERSION,
        "body": list(_body(letter, items)),
        "actions": [{"type": "Action.OpenUrl", "title": letter.open, "url": items[0].url}] if len(items) == 1 else [],
    }
    attachment = {"contentType": CARD, "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}).encode()


def _body(letter: Letter, items: tuple[Item, ...]) -> Iterator[dict[str, Any]]:
    if len(items) > 1:
        yield _block({"text": letter.subject, "weight": "Bolder", "size": "Medium"})
    for item in items:
        yield _block({"text": item.reason, "weight": "Bolder"})
        for line in item.lines:
            yield _block({"text": line})
        if len(items) > 1:
            link = {"type": "Action.OpenUrl", "url": item.url}
            yield _block({"text": letter.open, "selectAction": link})
    yield _block({"text": letter.footer, "isSubtle": True, "size": "Small"})


def _block(run: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run}]}
