"""The roll-call of tables: Django finds them here, nobody imports from here."""

from releases.accounts import models as accounts
from releases.audit import models as audit
from releases.calendar import models as calendar
from releases.catalog import models as catalog
from releases.changes import models as changes
from releases.committee import models as committee
from releases.delivery import models as delivery
from releases.gate import models as gate
from releases.health import models as health
from releases.impact import models as impact
from releases.notify import models as notify
from releases.operations import models as operations
from releases.rollback import models as rollback
from releases.rollout import models as rollout
from releases.traffic import models as traffic

__all__ = [
    "accounts",
    "audit",
    "calendar",
    "catalog",
    "changes",
    "committee",
    "delivery",
    "gate",
    "health",
    "impact",
    "notify",
    "operations",
    "rollback",
    "rollout",
    "traffic",
]
