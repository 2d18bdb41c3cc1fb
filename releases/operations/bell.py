"""The bell: whoever wires the house installs how workers are called; without one, the sweep finds the work."""

from collections.abc import Callable

import structlog
from django.db import transaction

from releases.operations.failpoints import failpoint
from releases.operations.ports import Ring

_log = structlog.get_logger(__name__)
_installed: list[Callable[[str, str, str], None]] = []


def install(ring: Callable[[str, str, str], None]) -> None:
    """Install the way to call a worker: queue, kind of row, its id. The latest one wins."""
    _installed[:] = [ring]


def ring(what: Ring) -> bool:
    """Call a worker and tell whether that worked; a failure is only logged, because the sweep finds every row."""
    try:
        for call in _installed:
            call(what.queue, what.kind, str(what.id))
    except Exception as error:  # noqa: BLE001 - whatever a broker does, the row is safe in the database
        _log.warning("bell_failed", kind=what.kind, id=str(what.id), error=repr(error))
        return False
    return bool(_installed)


def ring_on_commit(what: Ring, *, times: int = 1) -> None:
    """Ring once the transaction is committed; ``times`` calls that many workers."""

    def after() -> None:
        failpoint("before_ring")
        for _ in range(times):
            ring(what)

    transaction.on_commit(after, robust=True)
