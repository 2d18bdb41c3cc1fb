"""After this, do that: which functions hear of which kind of message. Each may see a message twice."""

from collections.abc import Callable

from releases.operations.ports import Message

REACTIONS: dict[str, tuple[Callable[[Message], None], ...]] = {}
