"""The house's Celery app with a handler and reactions of the tests; the workers are started with this module."""

import os
import signal
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import django
from celery import signals

from gmud.celery import app

django.setup()

from releases.core.errors import Unreachable  # noqa: E402  # after Django's set-up
from releases.core.http import Allowance, Door  # noqa: E402  # after Django's set-up
from releases.operations import services  # noqa: E402  # after Django's set-up
from releases.operations.ports import Done, Ending, Message, Outcome, Pending, StepView  # noqa: E402  # after Django's set-up
from releases.worker import sweeper  # noqa: E402  # after Django's set-up
from releases.worker.handlers import HANDLERS  # noqa: E402  # after Django's set-up
from releases.worker.reactions import REACTIONS  # noqa: E402  # after Django's set-up

__all__ = ["app"]
OK, CREATED, NOT_FOUND = 200, 201, 404


def outside() -> Door:
    """Return the way to the tests' outside system."""
    return Door("outside", os.environ["GMUD_TEST_OUTSIDE"], {}, Allowance.from_environment(), urgent=True)


class Effect:
    """Does one thing outside and looks ``polls`` times whether it is done."""

    def probe(self, step: StepView) -> str | None:
        """Look by key."""
        reply = outside().call("GET", f"/done/{step.op_key}")
        if reply.status not in {OK, NOT_FOUND}:
            raise Unreachable("What does that mean?")
        return f"job/{step.op_key}" if reply.status == OK else None

    def snapshot(self, step: StepView) -> Mapping[str, int]:
        """Look at what is there."""
        return {"done": outside().call("GET", "/count").json()}

    def send(self, step: StepView) -> str:
        """Do it."""
        if outside().call("POST", f"/done/{step.op_key}").status != CREATED:
            raise Unreachable("What does that mean?")
        return f"job/{step.op_key}"

    def observe(self, step: StepView) -> Outcome:
        """See whether it is done."""
        polls = int(step.data.get("polls", 0))
        if polls < int(step.desired.get("polls", 0)):
            return Pending(0.2, {"polls": polls + 1})
        return Done()

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write a row of ours."""
        services.post(kind="test.settled", ref=step.step_id, now=now)


def hear(message: Message) -> None:
    """Tell the outside that a message was heard."""
    outside().call("POST", f"/heard/{message.id}")


def stumble(message: Message) -> None:
    """Fail, each time."""
    raise Unreachable("It stumbles.")


def die(message: Message) -> None:
    """Take the worker's process along."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang_once(message: Message) -> None:
    """Never come to an end, the first time."""
    marker = Path(os.environ["GMUD_FAILPOINT_DIR"]) / str(message.id)
    if not marker.exists():
        marker.touch()
        threading.Event().wait()


HANDLERS["test.effect"] = Effect()
REACTIONS["test.settled"] = (hear,)
REACTIONS["test.stumbles"] = (stumble,)
REACTIONS["change.submit"] = (stumble,)  # a click that a person makes
REACTIONS["test.poison"] = (die,)
REACTIONS["test.hang"] = (hang_once,)
sweeper.LONGEST_TASK_SECONDS = float(os.environ.get("GMUD_TEST_LONGEST", sweeper.LONGEST_TASK_SECONDS))
sweeper.SILENCE_SECONDS = float(os.environ.get("GMUD_TEST_SILENCE", sweeper.SILENCE_SECONDS))


@signals.worker_ready.connect
def lose_hearing(sender: Any, **_: Any) -> None:
    """Take no message from the broker any more, in the first worker that finds the file missing."""
    marker = Path(os.environ.get("GMUD_TEST_DEAF", "/"))
    if not marker.exists():
        marker.touch()
        for queue in list(app.amqp.queues.consume_from):
            sender.cancel_task_queue(queue)
