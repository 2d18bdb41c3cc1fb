"""One figure from a health address: 0 when it says well, 1 when it says ill."""

from dataclasses import dataclass
from datetime import datetime

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Door
from releases.core.words import mark as _
from releases.health.ports import Measure, Question

SOURCE = "http"
WELL = range(200, 300)
BUSY = {429}
SERVER_ERRORS = range(500, 600)


@dataclass(frozen=True, slots=True)
class EndpointProbe:
    """A Probe; who does not answer is not known to be ill, since the way there may be what is broken."""

    door: Door

    def measure(self, question: Question, *, at: datetime) -> Measure:
        """Ask the address once.

        :raises Unreachable: no answer
        :raises Rejected: the address is wrong or not ours to ask
        """
        reply = self.door.call("GET", question.text)
        if reply.status in WELL:
            return Measure(0.0, at, SOURCE)
        if reply.status in SERVER_ERRORS:
            return Measure(1.0, at, SOURCE)
        sentence = Sentence(
            _("The health address answered %(status)s, which says nothing of health."), {"status": reply.status}
        )
        if reply.status in BUSY:
            raise Unreachable(sentence)
        raise Rejected(sentence, http_status=reply.status, body=reply.text)
