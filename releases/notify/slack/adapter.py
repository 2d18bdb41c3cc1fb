"""Letters as Slack takes them: text for the notification, blocks for the channel.

``&``, ``<`` and ``>`` are Slack's own signs and are escaped in whatever people wrote, so that nothing in a title can
call a channel or hide a link. A text object holds at most 3000 characters, a message at most 50 blocks.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from releases.core.http import Reply
from releases.notify.ports import Address, Item, Letter, Post
from releases.notify.rules.answers import trouble_of

LONGEST_TEXT = 3000
MOST_BLOCKS = 50
LONGEST_ENTITY = 6  # "&quot;" is not made here; "&amp;" and a sign


class Slack:
    """A Poster for incoming webhooks."""

    def post(self, letter: Letter, *, to: Address, now: datetime) -> Post:
        """Return the call that shows the letter in the webhook's channel."""
        body = {"text": _text(letter.subject), "blocks": list(_blocks(letter))[:MOST_BLOCKS]}
        return Post(to.path + to.secrets[0], json.dumps(body).encode(), {"Content-Type": "application/json"})

    def check(self, reply: Reply) -> None:
        """Read the answer: 200 is yes; ``no_service`` and the like come with a status that says no."""
        if trouble := trouble_of(reply.status, retry_after=reply.headers.get("retry-after", ""), said=reply.text):
            raise trouble


def _blocks(letter: Letter) -> Iterator[dict[str, Any]]:
    if len(letter.items) > 1:
        yield _section(f"*{_escaped(letter.subject)}*")
    for item in letter.items:
        yield _section(_said(item, letter.open))
    yield {"type": "context", "elements": [_words(_escaped(letter.footer))]}


def _said(item: Item, open_word: str) -> str:
    link = f"<{_escaped(item.url)}|{_escaped(open_word)}>"
    said = _text("\n".join((item.reason, *item.lines)), LONGEST_TEXT - len(link) - 1)
    return f"{said}\n{link}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _words(text)}


def _words(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text[:LONGEST_TEXT], "verbatim": True}


def _text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return escaped text that is not cut in the middle of an escape."""
    escaped = _escaped(text)
    while len(escaped) > longest:
        text = text[: len(text) - max(1, (len(escaped) - longest) // LONGEST_ENTITY)]
        escaped = _escaped(text)
    return escaped


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
