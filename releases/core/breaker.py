"""A circuit breaker: after failures in a row, spare the outside for a while.

State is per process and per name; it protects, it does not decide. A rollback may pass an open breaker once.
"""

import threading
from dataclasses import dataclass, field

OPEN_AFTER = 5
STAYS_OPEN_SECONDS = 30.0


@dataclass
class Breaker:
    """Counts failures in a row; ``clock`` is monotonic seconds, passed in."""

    failures: int = 0
    opened_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self, clock: float) -> bool:
        """Say whether a call may go now; after the rest, one trial call at a time may."""
        with self._lock:
            if self.opened_at is None:
                return True
            if clock - self.opened_at < STAYS_OPEN_SECONDS:
                return False
            self.opened_at = clock
            return True

    def succeeded(self) -> None:
        """Close it."""
        with self._lock:
            self.failures, self.opened_at = 0, None

    def failed(self, clock: float) -> None:
        """Count one; open at the fifth in a row."""
        with self._lock:
            self.failures += 1
            if self.failures >= OPEN_AFTER:
                self.opened_at = clock


_breakers: dict[str, Breaker] = {}
_guard = threading.Lock()


def breaker_for(name: str) -> Breaker:
    """Return the breaker of that name, made on first use."""
    with _guard:
        return _breakers.setdefault(name, Breaker())
