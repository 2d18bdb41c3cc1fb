"""What happens in the house and who is to hear of it: each of these may be called twice, late, or out of order."""

from releases.notify.occasions.calls import call_back
from releases.notify.occasions.changes import called_for_votes, moved
from releases.notify.occasions.clock import foresee
from releases.notify.occasions.places import artifact_cleared, artifact_quarantined, line_opened, line_shut
from releases.notify.occasions.traffic import traffic_agrees, traffic_drifted
from releases.notify.occasions.work import (
    message_given_up,
    record_contradicted,
    report_refused,
    routes_put_back,
    second_person_asked,
    traffic_moved,
    work_moved,
)

__all__ = [
    "artifact_cleared",
    "artifact_quarantined",
    "call_back",
    "called_for_votes",
    "foresee",
    "line_opened",
    "line_shut",
    "message_given_up",
    "moved",
    "record_contradicted",
    "report_refused",
    "routes_put_back",
    "second_person_asked",
    "traffic_agrees",
    "traffic_drifted",
    "traffic_moved",
    "work_moved",
]
