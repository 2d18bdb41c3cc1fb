"""What is done with traffic: write the ledger of every shift, look and keep what was seen, say what drifted."""

from releases.traffic.services.drifting import hold
from releases.traffic.services.ledger import Asked, Ended, accept, ask, end, version_in
from releases.traffic.services.looking import Provide, forget, keep, look, read_due

__all__ = [
    "Asked",
    "Ended",
    "Provide",
    "accept",
    "ask",
    "end",
    "forget",
    "hold",
    "keep",
    "look",
    "read_due",
    "version_in",
]
