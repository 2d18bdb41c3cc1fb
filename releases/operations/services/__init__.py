"""Everything that is done with durable work, split by verb."""

from releases.operations.services.begin import begin, take_over
from releases.operations.services.intervene import look_soon, nudge, retry_step, stop
from releases.operations.services.outbox import deliver, post
from releases.operations.services.requeue import requeue_message
from releases.operations.services.run import run
from releases.operations.services.sweep import heartbeat, next_due, sweep

__all__ = [
    "begin",
    "deliver",
    "heartbeat",
    "look_soon",
    "next_due",
    "nudge",
    "post",
    "requeue_message",
    "retry_step",
    "run",
    "stop",
    "sweep",
    "take_over",
]
