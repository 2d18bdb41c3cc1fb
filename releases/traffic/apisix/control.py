"""The Control API of APISIX' nodes: what each of them knows of the health of those it sends requests to.

Each node tells of itself only. An upstream is listed once it has a checker and has served a request; its nodes are
``healthy``, ``mostly_healthy``, ``mostly_unhealthy`` or ``unhealthy``, and get no requests in the last two
(https://apisix.apache.org/docs/apisix/control-api/, https://apisix.apache.org/docs/apisix/tutorials/health-check/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from releases.core.errors import Sentence, Unreachable
from releases.core.http import Door
from releases.core.words import mark as _

PATH = "/v1/healthcheck"
ALIVE = frozenset({"healthy", "mostly_healthy"})
KNOWN = ALIVE | {"mostly_unhealthy", "unhealthy"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One node behind an upstream, by every address it goes by, as one APISIX node sees it."""

    addresses: frozenset[str]
    lives: bool


Sight = Sequence[Checked]


@dataclass(frozen=True, slots=True)
class ControlApi:
    """The Control APIs of one installation, each behind a door without any key."""

    doors: Sequence[Door]

    def seen(self) -> dict[str, list[Sight]]:
        """Return everything that is checked, by its place, such as ``upstreams/checkout``: one sight per APISIX node.

        :raises Rejected: one of them must not be called
        :raises Unreachable: one of them does not answer, or is something else
        """
        found: dict[str, list[Sight]] = {}
        for door in self.doors:
            reply = door.call("GET", PATH, headers={"Accept": "application/json"})
            try:
                if reply.status != 200:
                    raise ValueError(reply.status)
                for row in reply.json() or ():  # an empty list of Lua may be written as a map
                    place = "/".join(str(row["name"]).split("/")[-2:])
                    found.setdefault(place, []).append([_checked(one) for one in row["nodes"] or ()])
            except (Unreachable, AttributeError, LookupError, TypeError, ValueError) as error:
                text = _("What answered at %(address)s is not APISIX' Control API. Check the setting control.")
                raise Unreachable(Sentence(text, {"address": door.origin})) from error
        return found


def _checked(row: Mapping[str, Any]) -> Checked:
    status, port = row["status"], row["port"]
    if status not in KNOWN:
        raise ValueError(status)
    names = (row.get("ip"), row.get("hostname"))
    return Checked(frozenset(f"{name}:{port}" for name in names if name), status in ALIVE)


def lives(sights: Sequence[Sight], node: str = "") -> bool | None:
    """Say whether every APISIX node that looks sees somebody alive there; ``None``: none of them looks.

    ``node`` (``host:port``) narrows it to one of those behind an upstream.
    """
    narrowed = [[one for one in sight if not node or node in one.addresses] for sight in sights]
    looked = [sight for sight in narrowed if sight]
    return all(any(one.lives for one in sight) for sight in looked) if looked else None
