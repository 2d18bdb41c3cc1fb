"""What is counted where it happens: the requests that this process answers.

Several processes behind one address share a folder, ``PROMETHEUS_MULTIPROC_DIR``, and any of them answers for all.
"""

import os
from collections.abc import Iterable

from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
# A moment of birth per route helps nobody, and is lost between processes.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
OURS = CollectorRegistry()
REQUESTS = Counter("gmud_http_requests_total", "Requests answered.", ("method", "route", "status"), registry=OURS)
SECONDS = Histogram(
    "gmud_http_request_seconds",
    "How long an answer took.",
    ("method", "route"),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=OURS,
)


def count(request: HttpRequest, status: int, seconds: float) -> None:
    """Count one answer under the route that gave it, so that a million numbers of changes stay one line."""
    match = request.resolver_match
    route = f"/{match.route}" if match else "none"
    method = str(request.method) if request.method in METHODS else "other"
    REQUESTS.labels(method, route, str(status)).inc()
    SECONDS.labels(method, route).observe(seconds)


def collect() -> Iterable[Metric]:
    """Return what this process counted, or all that share its folder."""
    if os.environ.get(SHARED_FOLDER):
        together: Iterable[Metric] = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]  # the library has no types here
        return together
    return OURS.collect()
