"""Whether what somebody looked at still stands when they save it: services ask that under the lock of the row.

Who compares before the lock lets two who save at the same moment both pass, and the second one overwrites the first.
"""

from collections.abc import Callable

Unchanged = Callable[[], None]  # raises Invalid with the fields that are others now


def nobody_looked() -> None:
    """Ask nothing: who saves has looked at nothing before."""
