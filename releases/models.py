"""The roll-call of tables: Django finds them here, nobody imports from here."""

from releases.accounts import models as accounts
from releases.catalog import models as catalog

__all__ = [
    "accounts",
    "catalog",
]
