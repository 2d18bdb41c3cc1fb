"""Kong as a control plane: the targets of one upstream.

Kong checks no versions and takes one target per request. So each request is preceded by a look at all targets, the one
that gets more comes first (in between there is more weight, never none), and when a later request is refused, those
before it are put back. What somebody sets on the very target between our look and our request is overwritten unseen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from releases.core.canonical import digest
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.traffic.admin import Absent, Forbidden, Json, weight_of
from releases.traffic.kong.client import KongClient, without_database
from releases.traffic.plane import Entry, Operation, Outrun, Place, Sent, Survey, named
from releases.traffic.ports import (
    CANARY,
    STABLE,
    Capabilities,
    NotEditable,
    Owner,
    Reading,
    RouteRef,
    Version,
    Weights,
    Writer,
)

LARGEST = 65535
ABSENT = 100
DEFAULT_PORT = 8000
LAG_SECONDS = 15.0
OLDEST, ADVISED = (2, 2), (3, 2, 2)
INGRESS_TAG = "managed-by-ingress-controller"
_SIDES, _OTHER = {STABLE: 0, CANARY: 1}, 2  # Kong's own order is that of adding, the newest first
_DOUBTS = {
    "UNHEALTHY": _("%(name)s fails Kong's health checks: traffic sent there would fail."),
    "DNS_ERROR": _("Kong cannot resolve %(name)s: traffic sent there would fail."),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """An upstream as it was read, with its targets by the names they are asked for by."""

    workspace: str
    upstream: Json
    rows: Mapping[str, Json]


@dataclass(slots=True)
class Kong:
    """Kong behind one Admin API; see :class:`releases.traffic.plane.ControlPlane`."""

    client: KongClient
    _known: Capabilities | None = None
    _old: bool = False

    def capabilities(self) -> Capabilities:
        """Return what Kong can do here; asked once."""
        if self._known is None:
            self._known = Capabilities(
                largest=LARGEST,
                is_strict=False,
                is_atomic=False,
                tries_out=False,
                obstacle=self._obstacle(),
            )
        return self._known

    def find(self, route: RouteRef) -> Place[Spot]:
        """Read the upstream and its targets."""
        parts = {"name": route.name}
        try:
            upstream = self.client.upstream(route.namespace, route.name)
            rows = self.client.targets(route.namespace, upstream["id"])
        except Absent as error:
            text = _("There is no upstream %(name)s here, and none is made from here. Check its workspace too.")
            raise NotEditable(Sentence(text, parts), http_status=error.http_status) from error
        with self.client.api.believed():
            return _place(route, upstream, rows)

    def survey(self, place: Place[Spot], wanted: Weights) -> Survey:
        """Look whether the targets that get more live, and which services send to this upstream."""
        survey, spot = Survey(), place.at
        if self._old:
            text = _("This Kong may miss a change of weights. Update it to 3.2.2 or later.")
            survey.warnings.append(Sentence(text))
        health: dict[str, str] = {}
        try:
            health = self.client.health(spot.workspace, spot.upstream["id"])
            services = self.client.services(spot.workspace, str(spot.upstream.get("name", "")))
            survey.referrers += sorted(services.values())
            survey.doubts += self._sent_elsewhere(spot.workspace, services)
        except Forbidden as error:
            text = _("Part of the check was skipped. %(why)s")
            survey.warnings.append(Sentence(text, {"why": error.detail}))
        except Absent:
            pass  # it went away just now, which the write notices
        for target in place.reading.targets:
            if _counted(wanted.get(target.name, target.weight)) <= target.share:
                continue
            found, parts = health.get(target.key, ""), {"name": target.key}
            if found in _DOUBTS:
                survey.doubts.append(Sentence(_DOUBTS[found], parts))
            elif found != "HEALTHY":
                survey.warnings.append(Sentence(_("Kong does not check whether %(name)s lives."), parts))
        return survey

    def _sent_elsewhere(self, workspace: str, services: Mapping[str, str]) -> Iterator[Sentence]:
        """Say which plugin sends a part of the requests past this upstream: then its weights are not the split.

        One of a route may be of any service, so it counts as well.
        """
        for plugin in self.client.canaries(workspace):
            config, bound = plugin.get("config") or {}, plugin.get("service")
            if (bound and str(bound.get("id")) not in services) or config.get("percentage") == 0:
                continue
            who = services.get(str((bound or {}).get("id")), "") or "*"
            share = config.get("percentage")
            if share is None:
                text = _(
                    "Kong's plugin canary (service %(service)s) sends a rising part of the requests past this "
                    "upstream, so its weights are not the split. Let it end or switch it off, then shift."
                )
                yield Sentence(text, {"service": who})
            else:
                text = _(
                    "Kong's plugin canary (service %(service)s) sends %(share)s %% of the requests past this upstream, "
                    "so its weights are not the split. Set its percentage to 0 or switch it off, then shift."
                )
                yield Sentence(text, {"service": who, "share": share})

    def operations(self, place: Place[Spot], wanted: Weights) -> Sequence[Operation]:
        """Return one request per target that changes, the one that gets more first."""
        rows, root = place.at.rows, f"/upstreams/{place.at.upstream['id']}/targets"
        changes = {
            name: weight for name, weight in wanted.items() if name in rows and _counted(weight) != rows[name]["weight"]
        }
        rising = sorted(changes, key=lambda name: rows[name]["weight"] - _counted(changes[name]))
        return [
            {"method": "PATCH", "path": f"{root}/{rows[name]['id']}", "target": name, "body": {"weight": changes[name]}}
            for name in rising
        ]

    def send(self, place: Place[Spot], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send them one after the other, each only while everything else is as it was seen."""
        del dry_run  # never asked: Kong tries nothing out
        spot = place.at
        expected = {row["id"]: row["weight"] for row in spot.rows.values()}
        done: list[str] = []
        for operation in operations:
            row, weight = spot.rows[operation["target"]], operation["body"]["weight"]
            try:
                self._guarded(spot, expected, row["id"], weight)
            except Rejected as refusal:
                self._put_back(spot, expected, done, refusal)
                raise
            except Unreachable as lost:
                if not done:
                    raise
                raise _half(lost, done) from lost
            expected[row["id"]] = _counted(weight)
            done.append(operation["target"])
        return Sent()

    def _guarded(self, spot: Spot, expected: Mapping[str, int], target: str, weight: int | None) -> None:
        """Set one weight if every target is as expected.

        :raises Outrun: somebody wrote meanwhile, or deleted what we would write
        """
        try:
            if self._weights(spot) != expected:
                raise Outrun(Sentence(_("Somebody wrote to this upstream meanwhile.")))
            self.client.weigh(spot.workspace, spot.upstream["id"], target, weight)
        except Absent as error:
            raise Outrun(error.detail, http_status=error.http_status) from error

    def _put_back(self, spot: Spot, ours: Mapping[str, int], done: Sequence[str], refusal: Rejected) -> None:
        """Undo the requests that were taken, the last one first; what somebody wrote since is left alone.

        :raises Unreachable: that did not work: part of the change stands
        """
        left = list(done)
        try:
            there = self._weights(spot) if left else {}
            while left:
                row = spot.rows[left[-1]]
                if there.get(row["id"]) == ours[row["id"]]:
                    self.client.weigh(spot.workspace, spot.upstream["id"], row["id"], row["weight"])
                left.pop()
        except (Rejected, Unreachable) as error:
            raise _half(refusal, left) from error

    def _weights(self, spot: Spot) -> dict[str, int]:
        return {row["id"]: row["weight"] for row in self.client.targets(spot.workspace, spot.upstream["id"])}

    def _obstacle(self) -> Sentence | None:
        """Return why this Kong cannot be written, if so, and what to do instead."""
        if self.client.is_konnect:
            return Sentence(
                _(
                    "This is Konnect, Kong's cloud: it applies what its own control plane holds. Change the weights "
                    "there, with decK or Terraform, or connect a Kong with a database of its own."
                )
            )
        node = self.client.node()
        if node["configuration"].get("database") == "off":
            return without_database()
        version = _numbers(node["version"])
        self._old = version < ADVISED
        if version < OLDEST:
            text = _(
                "Kong %(version)s keeps a history of targets instead of their weights. Update it to 3.2.2 or later."
            )
            return Sentence(text, {"version": node["version"]})
        return None


def _place(route: RouteRef, upstream: Json, rows: Sequence[Json]) -> Place[Spot]:
    """Return the reading of an upstream, the two sides first."""
    entries = [Entry(one["target"], _aliases(one), weight_of(one["weight"])) for one in rows]
    by_key = {one.key: one for one in named(entries, route, absent=ABSENT)}
    rows = sorted(rows, key=lambda one: (_SIDES.get(by_key[one["target"]].name, _OTHER), one["target"]))
    targets = tuple(by_key[one["target"]] for one in rows)
    spot = Spot(route.namespace, upstream, {target.name: row for target, row in zip(targets, rows, strict=True)})
    owner = _owner(upstream, rows)
    reading = Reading(
        targets=targets,
        version=_version(spot),
        hosts=(str(upstream.get("name", "")),),
        owner=owner,
        writer=_writer(rows),
        obstacles=(owner.consequence,) if owner else (),
        warnings=tuple(_warnings(upstream)),
        lag_seconds=LAG_SECONDS,
    )
    return Place(reading, spot)


def _version(spot: Spot) -> Version:
    """Return what exactly was seen. Kong has no versions: the token is a digest of the targets and their stamps."""
    rows = sorted(spot.rows.values(), key=lambda one: str(one["id"]))
    seen = [[row["id"], row["target"], row["weight"], str(row.get("updated_at"))] for row in rows]
    names = [[row["id"], row["target"]] for row in rows]
    shape = {name: spot.upstream.get(name) for name in ("id", "name", "algorithm", "hash_on")}
    return Version(
        token=digest(seen).removeprefix("sha256:"),
        uid=spot.upstream["id"],
        generation=0,
        fingerprint=digest({"upstream": shape, "targets": names}),
        weights={name: row["weight"] for name, row in spot.rows.items()},
        is_strict=False,
    )


def _aliases(row: Json) -> tuple[str, ...]:
    host, _colon, _port = str(row["target"]).rpartition(":")
    return (row["id"], host)


def _owner(upstream: Json, rows: Sequence[Json]) -> Owner | None:
    if not any(INGRESS_TAG in (one.get("tags") or ()) for one in (upstream, *rows)):
        return None
    text = _("The ingress controller writes this upstream again within seconds. Shift the HTTPRoute it comes from.")
    return Owner("Kong Ingress Controller", Sentence(text), drives=True, name=str(upstream.get("name", "")))


def _warnings(upstream: Json) -> Iterator[Sentence]:
    hashed, algorithm = upstream.get("hash_on", "none"), upstream.get("algorithm", "round-robin")
    if hashed != "none" or algorithm != "round-robin":
        parts = {"algorithm": algorithm if hashed == "none" else f"{algorithm}, {hashed}"}
        text = _("This upstream does not take turns (%(algorithm)s): weights shape capacity, not a share of requests.")
        yield Sentence(text, parts)


def _writer(rows: Sequence[Json]) -> Writer | None:
    """Return when a target was written last; Kong does not keep by whom."""
    stamps = [stamp for stamp in (row.get("updated_at") for row in rows) if isinstance(stamp, int | float)]
    return Writer("?", datetime.fromtimestamp(max(stamps), UTC)) if stamps else None


def _half(error: Rejected | Unreachable, done: Sequence[str]) -> Unreachable:
    """Return which half of the change stands, and why: that is not known to be the end of it."""
    text = _("Only part of the change stands: %(names)s got the new weight, the rest did not. %(why)s")
    return Unreachable(Sentence(text, {"names": ", ".join(done), "why": error.detail}))


def _counted(weight: int | None) -> int:
    return ABSENT if weight is None else weight


def _numbers(version: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in version.split(".")[:3]:
        digits: Any = part.split("-")[0]
        if not digits.isdigit():
            break
        numbers.append(int(digits))
    return tuple(numbers)
