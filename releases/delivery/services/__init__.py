"""What can be done with deployments: request, record what was seen, end, ask something of the run, answer it."""

from releases.delivery.services.calling_off import CALL_OFF, CALL_OFF_STEP, CALLED_OFF, call_off
from releases.delivery.services.following import end, look_soon, record
from releases.delivery.services.planning import (
    REPORT_STEP,
    STEP_KIND,
    VERIFY_STEP,
    followed_until,
    job_of,
    request,
    step_for,
    verification_of,
)
from releases.delivery.services.steering import answer, ask, passed_on

__all__ = [
    "CALLED_OFF",
    "CALL_OFF",
    "CALL_OFF_STEP",
    "REPORT_STEP",
    "STEP_KIND",
    "VERIFY_STEP",
    "answer",
    "ask",
    "call_off",
    "end",
    "followed_until",
    "job_of",
    "look_soon",
    "passed_on",
    "record",
    "request",
    "step_for",
    "verification_of",
]
