"""The house's own Celery app with its own handlers; only the pauses are shorter, and one message is poison."""

import os
import signal

import django

from gmud.celery import app

django.setup()

from releases.delivery.steps import reach  # noqa: E402  # after Django's set-up
from releases.operations.ports import Message  # noqa: E402  # after Django's set-up
from releases.rollout.steps import GatedShift  # noqa: E402  # after Django's set-up
from releases.traffic.steps import STEP_KIND  # noqa: E402  # after Django's set-up
from releases.worker.handlers import HANDLERS  # noqa: E402  # after Django's set-up
from releases.worker.reactions import REACTIONS  # noqa: E402  # after Django's set-up

__all__ = ["app"]
reach.LOOK_SECONDS = 0.2
HANDLERS[STEP_KIND] = GatedShift(hold_seconds=0.2, contention_seconds=1.0)


def die(message: Message) -> None:
    """Take the worker's process along."""
    os.kill(os.getpid(), signal.SIGKILL)


REACTIONS["test.poison"] = (die,)
