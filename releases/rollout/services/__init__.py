"""Everything that is done with a release going forward, split by verb."""

from releases.rollout.services.following import ended, watched
from releases.rollout.services.putting_back import hold_together, put_back_ended, torn_move
from releases.rollout.services.reporting import report_end, report_start
from releases.rollout.services.starting import look_at_traffic, look_before_deploying, resume, start
from releases.rollout.services.steering import advance, paused_after, retry_step, rights_to_help, stop

__all__ = [
    "advance",
    "ended",
    "hold_together",
    "look_at_traffic",
    "look_before_deploying",
    "paused_after",
    "put_back_ended",
    "report_end",
    "report_start",
    "resume",
    "retry_step",
    "rights_to_help",
    "start",
    "stop",
    "torn_move",
    "watched",
]
