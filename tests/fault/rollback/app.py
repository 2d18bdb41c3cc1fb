"""The house's own Celery app with its own handlers; only the pauses between two looks are shorter."""

import django

from gmud.celery import app

django.setup()

from releases.delivery.steps import reach  # noqa: E402  # after Django's set-up
from releases.traffic.steps import STEP_KIND, ShiftStep  # noqa: E402  # after Django's set-up
from releases.worker.handlers import HANDLERS  # noqa: E402  # after Django's set-up

__all__ = ["app"]
reach.LOOK_SECONDS = 0.2
HANDLERS[STEP_KIND] = ShiftStep(hold_seconds=0.2, contention_seconds=1.0)
