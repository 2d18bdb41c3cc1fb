"""After silence a write is looked for, in small steps and never for longer than half a lease."""

from dataclasses import dataclass

import pytest

from releases.core.errors import Unreachable
from releases.traffic.guarded import LOOKS, Guarded
from releases.traffic.ports import RouteRef

ROUTE = RouteRef("shop", "checkout", "stable", "canary", route="primary")


@dataclass
class Silent:
    """A control plane that never answers, each time after so many seconds."""

    seconds: float
    now: float = 0.0
    asked: int = 0

    def find(self, route):
        self.asked += 1
        self.now += self.seconds
        raise Unreachable("No answer.")


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, len(LOOKS)), (10.0, 2), (20.0, 1)])
def test_looks_that_take_long_are_fewer(seconds, asked):
    plane = Silent(seconds)
    lost = Unreachable("The answer is lost.")
    with pytest.raises(Unreachable) as raised:
        Guarded(plane, sleep=lambda _pause: None, clock=lambda: plane.now)._after_silence(ROUTE, None, lost)

    assert (raised.value, plane.asked) == (lost, asked)
