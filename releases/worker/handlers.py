"""Which handler does which kind of step; the rooms' functions are put together here."""

from releases.operations.ports import StepHandler

HANDLERS: dict[str, StepHandler] = {}
