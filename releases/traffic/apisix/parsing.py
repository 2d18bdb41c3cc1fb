"""Find the weights of an APISIX object: in a rule of its plugin traffic-split, or on the nodes of its upstream."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from releases.core.canonical import digest
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.admin import Json, weight_of
from releases.traffic.apisix.client import path_of
from releases.traffic.plane import Entry, Operation
from releases.traffic.ports import NotEditable, RouteRef, Weights

PLUGIN = "traffic-split"
LAYOUT = rules.Layout("weighted_upstreams", "match")
DEFAULT = "default"


class Site(Protocol):
    """One place where weights stand inside an object."""

    def entries(self) -> list[Entry]:
        """Return the targets in their order."""

    def fingerprint(self) -> str:
        """Return the digest of all that a shift leaves alone."""

    def operation(self, kind: str, key: str, names: Sequence[str], wanted: Weights) -> Operation:
        """Return the request that sets these raw weights; ``names`` are the targets' in their order."""

    def upstreams(self) -> list[Json]:
        """Return, for each target, what names its upstream: ``upstream_id``, ``upstream`` or ``service_id``.

        Empty for a node, which is no upstream.
        """

    def warnings(self) -> Iterator[Sentence]:
        """Give what people should know of these weights."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the plugin traffic-split."""

    value: Json
    rules: Sequence[Json]
    index: int

    @property
    def _weighted(self) -> list[Json]:
        return list(self.rules[self.index].get("weighted_upstreams", ()))

    def entries(self) -> list[Entry]:
        """Return the upstreams of the rule; one without a name is the route's own."""
        return [_entry(one, self.value) for one in self._weighted]

    def fingerprint(self) -> str:
        """Return the digest of the rule without its weights, its siblings, and the upstream of the object itself."""
        own = {name: self.value.get(name) for name in ("upstream_id", "service_id", "upstream")}
        return digest({"rule": rules.fingerprint(self.rules, self.index, LAYOUT), "own": own})

    def operation(self, kind: str, key: str, names: Sequence[str], wanted: Weights) -> Operation:
        """Return the request that replaces the rules: lists are replaced whole, so all of them are sent."""
        rebuilt: list[Any] = copy.deepcopy(list(self.rules))
        for name, entry in zip(names, rebuilt[self.index]["weighted_upstreams"], strict=True):
            if name in wanted and wanted[name] is None:
                entry.pop("weight", None)
            elif name in wanted:
                entry["weight"] = wanted[name]
        return {"method": "PATCH", "path": path_of(kind, key, f"/plugins/{PLUGIN}/rules"), "body": rebuilt}

    def upstreams(self) -> list[Json]:
        """Return what names each target's upstream."""
        return [one if "upstream_id" in one or "upstream" in one else self.value for one in self._weighted]

    def warnings(self) -> Iterator[Sentence]:
        """Give nothing: the plugin always takes turns."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of an upstream, its own or inside another object."""

    upstream: Json
    inside: bool

    def entries(self) -> list[Entry]:
        """Return the nodes."""
        nodes = self.upstream["nodes"]
        if isinstance(nodes, Mapping):
            return [Entry(key, (key.rpartition(":")[0],), weight_of(weight)) for key, weight in sorted(nodes.items())]
        return [Entry(_node(one), (str(one.get("host")),), weight_of(one.get("weight"))) for one in nodes]

    def fingerprint(self) -> str:
        """Return the digest of the nodes without their weights, and of how they take turns."""
        nodes = self.upstream["nodes"]
        named = sorted(nodes) if isinstance(nodes, Mapping) else [{**one, "weight": None} for one in nodes]
        return digest({"nodes": named, "how": {name: self.upstream.get(name) for name in ("type", "hash_on", "key")}})

    def operation(self, kind: str, key: str, names: Sequence[str], wanted: Weights) -> Operation:
        """Return the request: a map is merged by node, so only what changes is sent; a list is replaced whole."""
        nodes = self.upstream["nodes"]
        if isinstance(nodes, Mapping):
            if None in wanted.values():  # APISIX takes null for "delete this node"
                text = _("The nodes are a map by now, where every node has a weight: set the weights there yourself.")
                raise NotEditable(Sentence(text))
            by_name = dict(zip(names, sorted(nodes), strict=True))
            fresh: Any = {by_name[name]: weight for name, weight in wanted.items()}
        else:
            fresh = [
                {**one, "weight": wanted.get(name, one.get("weight"))} for name, one in zip(names, nodes, strict=True)
            ]
        body = {"nodes": fresh}
        return {"method": "PATCH", "path": path_of(kind, key), "body": {"upstream": body} if self.inside else body}

    def upstreams(self) -> list[Json]:
        """Return nothing for each node."""
        return [{} for _one in self.entries()]

    def warnings(self) -> Iterator[Sentence]:
        """Give what weights mean when nodes do not take turns."""
        how = self.upstream.get("type", "roundrobin")
        if how != "roundrobin":
            text = _(
                "This upstream does not take turns (%(algorithm)s): weights shape capacity, not a share of requests."
            )
            yield Sentence(text, {"algorithm": str(how)})


def site_of(kind: str, value: Json, route: RouteRef) -> Site:
    """Return where the weights of a route stand.

    :raises NotEditable: nowhere, or it cannot be told where
    """
    plugin = value.get("plugins", {}).get(PLUGIN) if kind != "upstreams" else None
    found = plugin.get("rules") if isinstance(plugin, Mapping) else None
    if found:
        return Rule(value, found, _chosen(found, route))
    upstream = value if kind == "upstreams" else value.get("upstream")
    if not isinstance(upstream, Mapping) or not upstream.get("nodes"):
        text = _(
            "%(name)s holds no weights: it has neither the plugin traffic-split nor nodes. Choose what it leads to."
        )
        raise NotEditable(Sentence(text, {"name": f"{kind}/{route.name}"}))
    nodes = upstream["nodes"]
    if not isinstance(nodes, Mapping) and len({one.get("priority", 0) for one in nodes}) > 1:
        raise NotEditable(Sentence(_("The nodes have priorities: the lower ones only stand in for the others.")))
    return Nodes(upstream, inside=upstream is not value)


def is_switched_off(value: Json) -> bool:
    """Say whether the plugin is there and does nothing."""
    plugin = value.get("plugins", {}).get(PLUGIN)
    return isinstance(plugin, Mapping) and plugin.get("_meta", {}).get("disable") is True


def names_upstream(value: Json, key: str) -> bool:
    """Say whether an object sends to an upstream, itself or by its plugin."""
    plugin = value.get("plugins", {}).get(PLUGIN, {})
    entries = [entry for rule in plugin.get("rules", ()) for entry in rule.get("weighted_upstreams", ())]
    return any(str(one.get("upstream_id")) == key for one in (value, *entries))


def _chosen(found: Sequence[Json], route: RouteRef) -> int:
    """Return the rule that is meant: the one at the index, else the only one that matches everything."""
    if route.index is not None:
        if route.index >= len(found) or rules.shape(found[route.index], LAYOUT) != route.shape:
            raise NotEditable(Sentence(_("The route without a name moved or changed. Choose it again.")))
        return route.index
    always = [place for place, rule in enumerate(found) if not rule.get("match")]
    if len(always) == 1:
        return always[0]
    if len(found) == 1:
        return 0
    text = _("traffic-split has %(count)s rules: say which one by its place (0 is the first) and shape.")
    raise NotEditable(Sentence(text, {"count": len(found)}))


def _entry(one: Json, value: Json) -> Entry:
    weight = weight_of(one["weight"]) if "weight" in one else None
    if "upstream_id" in one:
        return Entry(str(one["upstream_id"]), (), weight)
    if "upstream" in one:
        inline = one["upstream"]
        nodes = inline.get("nodes") or ()
        aliases = tuple(sorted(nodes)) if isinstance(nodes, Mapping) else tuple(_node(node) for node in nodes)
        return Entry(str(inline.get("name") or digest(inline)[:19]), aliases if len(aliases) == 1 else (), weight)
    own = value.get("upstream_id")
    return Entry(DEFAULT, (str(own),) if own is not None else (), weight)


def _node(one: Json) -> str:
    return f"{one.get('host')}:{one['port']}" if one.get("port") else str(one.get("host"))
