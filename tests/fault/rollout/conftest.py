"""A bank whose releases take seconds instead of hours."""

from tests.factories.rollback import bank, quick

__all__ = ["bank", "quick"]
