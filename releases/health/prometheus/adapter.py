"""One figure from a Prometheus instant query."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.health.ports import Measure, Question

SOURCE = "prometheus"
REFUSALS = {400, 401, 403, 404, 405, 422}


@dataclass(frozen=True, slots=True)
class PrometheusProbe:
    """A Probe; of several series the worst counts: the largest, unless something else is said."""

    door: Door
    worst: Callable[[Iterable[float]], float] = max

    def version(self) -> str:
        """Return which Prometheus answers; empty when it does not say.

        :raises Unreachable: no answer
        """
        reply = self.door.call("GET", "/api/v1/status/buildinfo")
        try:
            return str(reply.json()["data"]["version"]) if reply.status == 200 else ""
        except (KeyError, TypeError, Unreachable):
            return ""

    def measure(self, question: Question, *, at: datetime) -> Measure:
        """Ask for the value at this moment; no series and no number are no value.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: the query or the account is refused
        """
        params = {"query": question.text, "time": f"{at.timestamp():.3f}"}
        reply = self.door.call("GET", "/api/v1/query", params=params)
        if reply.status in REFUSALS:
            raise Rejected(_refusal(reply), http_status=reply.status, body=reply.text)
        if reply.status != 200:
            raise Unreachable(Sentence(_("Prometheus answered %(status)s."), {"status": reply.status}))
        values = _values(reply.json())
        if not values:
            return Measure(None, at, SOURCE, Sentence(_("Prometheus has no data for this query.")))
        if not all(math.isfinite(value) for value in values):
            return Measure(None, at, SOURCE, Sentence(_("Prometheus gives no number for this query.")))
        return Measure(self.worst(values), at, SOURCE)


def _values(answered: Any) -> list[float]:
    """Return the values of a vector or scalar: ``[time, "value"]`` each."""
    try:
        if answered["status"] != "success":
            raise ValueError(answered["status"])
        data = answered["data"]
        samples = [data["result"]] if data["resultType"] == "scalar" else [one["value"] for one in data["result"]]
        return [float(text) for _time, text in samples]
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(Sentence(_("Prometheus sent JSON of another shape than it should."))) from error


def _refusal(reply: Reply) -> Sentence:
    try:
        said = str(reply.json().get("error", ""))
    except (Unreachable, AttributeError):
        said = ""
    if reply.status in (401, 403):
        return Sentence(_("Prometheus does not accept the account. Check the connection's secret."))
    return Sentence(_("Prometheus refuses the query (%(status)s): %(said)s"), {"status": reply.status, "said": said})
