"""What the admin APIs of gateways have in common: plain HTTP, one JSON object per answer, a status for every no.

Whatever does not look like such an API (a sign-in page, half an answer, a redirect) tells nothing: what happened is not
known then. Asked to come back later, it comes back; the gateway did nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from releases.core.errors import GmudError, Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _

Json = Mapping[str, Any]
THROTTLED, UNAUTHORIZED, FORBIDDEN, MISSING = 429, 401, 403, 404
TRIES = 3
LONGEST_PAUSE = 3.0


class Unknown(Rejected):
    """The gateway does not know who asks: the key or token is missing, wrong or expired."""

    code = "gateway_unauthorized"


class Forbidden(Rejected):
    """The gateway knows who asks, and that one may not do this."""

    code = "gateway_forbidden"


class Absent(Rejected):
    """There is no such thing in the gateway."""

    code = "gateway_missing"


class Throttled(Unreachable):
    """Too many requests: the gateway did nothing, and asks to come back later."""

    code = "gateway_throttled"


_REJECTIONS: Mapping[int, type[Rejected]] = {UNAUTHORIZED: Unknown, FORBIDDEN: Forbidden, MISSING: Absent}


@dataclass(slots=True)
class AdminApi:
    """One gateway behind a door that carries its key; ``name`` is the product, ``sleep`` waits when it asks for it."""

    name: str
    door: Door
    sleep: Callable[[float], None] = time.sleep
    refuse: Callable[[Reply, Json], GmudError | None] = field(default=lambda _reply, _body: None)

    def call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None
    ) -> tuple[Json, Mapping[str, str]]:
        """Return the object that the gateway answers, and the headers it came with.

        :raises Unknown: it does not know us
        :raises Forbidden: we may not do this
        :raises Absent: there is no such thing
        :raises Rejected: another clear no
        :raises Unreachable: whether it did anything is not known
        """
        reply = self.ask(method, path, params=params, json=json)
        body = reply.json()
        if not isinstance(body, dict):
            raise self.strange()
        return body, reply.headers

    def ask(self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None) -> Reply:
        """Return an answer that is no refusal, whatever it holds; errors as :meth:`call`."""
        accept = {"Accept": "application/json"}
        for again in reversed(range(TRIES)):
            reply = self.door.call(method, path, params=params, json=json, headers=accept)
            if reply.status != THROTTLED or not again:
                break
            self.sleep(_pause(reply))
        if reply.status not in (200, 201):
            raise self._failure(reply)
        return reply

    @contextmanager
    def believed(self) -> Iterator[None]:
        """Read answers; one that has parts of other kinds than this gateway's is not believed.

        :raises Unreachable: it is another's
        """
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise self.strange() from error

    def strange(self) -> Unreachable:
        """Return the error for an answer that is not the gateway's."""
        text = _("What answered is not the admin API of %(name)s. Check the address, and what stands in between.")
        return Unreachable(Sentence(text, {"name": self.name}))

    def _failure(self, reply: Reply) -> GmudError:
        parts = {"name": self.name, "status": reply.status, "said": said(reply)}
        if reply.status == THROTTLED:
            return Throttled(Sentence(_("%(name)s asks to come back later (too many requests)."), parts))
        told = self.refuse(reply, _object(reply))
        if told is not None:
            return told
        if 300 <= reply.status < 400:
            where = {**parts, "where": reply.headers.get("location", "?")[:200]}
            text = _(
                "The address of %(name)s sends elsewhere (%(status)s to %(where)s), which is not followed. Correct it."
            )
            return Unreachable(Sentence(text, where))
        if reply.status < 400 or reply.status >= 500:
            text = _("%(name)s answered %(status)s; whether it did anything is not known: %(said)s")
            return Unreachable(Sentence(text, parts))
        kind = _REJECTIONS.get(reply.status, Rejected)
        text = _("%(name)s refused (%(status)s): %(said)s")
        return kind(Sentence(text, parts), http_status=reply.status, body=reply.text)


def weight_of(value: Any) -> int:
    """Return a weight as a gateway counts it.

    :raises TypeError: it is no whole number
    :raises ValueError: it is below zero
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    if value < 0:
        raise ValueError(value)
    return value


def said(reply: Reply) -> str:
    """Return what the gateway says in words, or how its answer begins."""
    body = _object(reply)
    words = [str(body[name]) for name in ("message", "error_msg", "description") if body.get(name)]
    return ": ".join(words)[:300] or " ".join(reply.text[:200].split())


def _object(reply: Reply) -> Json:
    try:
        body = reply.json()
    except Unreachable:
        return {}
    return body if isinstance(body, dict) else {}


def _pause(reply: Reply) -> float:
    header = reply.headers.get("retry-after", "")
    return min(float(header) if header.isdigit() else 1.0, LONGEST_PAUSE)
