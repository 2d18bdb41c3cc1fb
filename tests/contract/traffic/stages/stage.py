"""What the contract needs of a control plane's sandbox: to look past the adapter, and to play everybody else."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gmud.sandbox.server import Sandbox
from releases.traffic.guarded import Guarded
from releases.traffic.ports import RouteRef


class Stage(Protocol):
    """A route with 90/10 on ``stable`` and ``canary``, beside other content, in a sandbox on the loopback address."""

    provider: Guarded[Any]
    route: RouteRef
    sandbox: Sandbox
    can_be_absent: bool
    """Whether a weight may be missing from what is stored."""
    reading: Mapping[str, str]
    """``method``, ``path`` (and ``query``) of a read of the route, for faults."""
    writing: Mapping[str, str]
    """The same of a write that is no dry run."""

    def stand(self, stable: int | None, canary: int | None) -> None:
        """Set the two raw weights at once, as somebody else does it."""

    def touch(self) -> None:
        """Change something that is not the route, as somebody else does it."""

    def restructure(self) -> None:
        """Change the route itself, but not its weights, as somebody else does it."""

    def renew(self) -> None:
        """Delete the object and make it anew with the same content."""

    def remove(self) -> None:
        """Delete the object."""

    def kill(self, side: str) -> None:
        """Leave a side without anybody to answer."""

    def deny(self, status: int) -> None:
        """Refuse everything from now on, in the vendor's words: 401 or 403."""

    def before_write(self, act: Callable[[], None]) -> None:
        """Act once, just before the next write is taken (for a server without versions: before our last look)."""

    def raw(self) -> dict[str, int | None]:
        """Return the two weights as they are stored."""

    def rest(self) -> Any:
        """Return everything else that is stored there, without what the server counts."""

    def writes(self) -> int:
        """Return how many requests arrived that would change something."""
