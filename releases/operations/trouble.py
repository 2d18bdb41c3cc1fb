"""How trouble with work is logged: a database that is busy or away in one calm line, anything else with its traceback.

Neither loses work: the row stands in the database, and the sweep finds it again.
"""

from typing import Any

import structlog
from django.db import InterfaceError, OperationalError

AWAY = (InterfaceError, OperationalError)
"""What the database raises when it is busy, cut us off, or cannot be reached."""
_log = structlog.get_logger(__name__)


def tell(event: str, error: Exception, **about: Any) -> None:
    """Log an error while it is handled."""
    if isinstance(error, AWAY):
        _log.warning(event, database=str(error).strip(), **about)
    else:
        _log.exception(event, **about)
