"""The roll-call of tables: Django finds them here, nobody imports from here."""

from releases.accounts import models as accounts
from releases.calendar import models as calendar
from releases.catalog import models as catalog
from releases.committee import models as committee
from releases.impact import models as impact

__all__ = [
    "accounts",
    "calendar",
    "catalog",
    "committee",
    "impact",
]
