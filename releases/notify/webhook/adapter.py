"""Letters as signed events: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature`` (v1, HMAC-SHA256).

What is signed is ``id.timestamp.body``, over the very bytes that are sent. The id stays over all tries and the
timestamp is that of the try. While a secret is being changed, both sign.
"""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime

from releases.core.http import Reply
from releases.notify.ports import Address, Letter, Post
from releases.notify.rules.answers import trouble_of

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY, NEW_KEY = 24, 64, 32
TOLD, SETTLED = "notice.told", "notice.settled"


class Webhook:
    """A Poster for whoever verifies our signature."""

    def post(self, letter: Letter, *, to: Address, now: datetime) -> Post:
        """Return the signed call with the one event of the letter."""
        item = letter.items[0]
        event = {
            "type": SETTLED if letter.is_settled else TOLD,
            "timestamp": letter.told_at.isoformat(),
            "data": {
                "id": letter.answers or letter.id,
                "page": letter.is_page,
                "reason": item.reason,
                "lines": list(item.lines),
                "url": item.url,
                "language": letter.language,
                **item.facts,
            },
        }
        content = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        at = str(int(now.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.id,
            "webhook-timestamp": at,
            "webhook-signature": " ".join(
                f"v1,{signature(secret, message_id=letter.id, at=at, content=content)}" for secret in to.secrets
            ),
        }
        return Post(to.path, content, headers)

    def check(self, reply: Reply) -> None:
        """Read the answer: any status from 200 to 299 is yes."""
        if trouble := trouble_of(reply.status, retry_after=reply.headers.get("retry-after", ""), said=reply.text):
            raise trouble


def signature(secret: str, *, message_id: str, at: str, content: bytes) -> str:
    """Return the HMAC-SHA256 of ``id.timestamp.body`` in base64."""
    signed = f"{message_id}.{at}.".encode() + content
    return base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def new_secret() -> str:
    """Make a secret of 256 random bits, as it is given to the other side."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_KEY)).decode()


def is_secret(text: str) -> bool:
    """Say whether this is ``whsec_`` and 24 to 64 bytes in base64."""
    try:
        return text.startswith(PREFIX) and SHORTEST_KEY <= len(_key(text)) <= LONGEST_KEY
    except ValueError:  # not base64, or not even plain letters
        return False


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
