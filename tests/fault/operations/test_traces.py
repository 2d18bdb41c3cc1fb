"""What is done for a request is one trace, from the web server to the worker and to what it calls: real processes.

They send to a collector over HTTP, as OpenTelemetry has it (OTLP, protobuf); the trace is named after the request.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen
from uuid import UUID

import pytest
from django.db import transaction
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gmud.otel import trace_id_of
from releases.core import clock, request_id
from releases.core.ids import uuid7
from releases.operations import bell
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from tests.factories.operations import an_operation
from tests.fault.harness import ROOT, House, free_port, house, wait_for
from tests.fault.operations.outside import outside_system
from tests.fault.operations.test_real_workers import APP

CANARY = "ka3-9fQz7"


class Collector:
    """Takes what is sent to ``/v1/traces`` and keeps it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_said: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def trace(self, request: str) -> list[Span]:
        """Return the spans of a request, with the name of the service that sent them checked."""
        wanted = trace_id_of(request).to_bytes(16)
        found = []
        for body in list(self.bodies):
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in sent.resource.attributes}
                assert names["service.name"] == "gmud"
                found += [span for scope in sent.scope_spans for span in scope.spans if span.trace_id == wanted]
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture(scope="module")
def place(tmp_path_factory, django_db_setup, django_db_blocker, collector) -> Iterator[House]:
    with outside_system() as outside:
        more = {
            "GMUD_TEST_OUTSIDE": outside.address,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with django_db_blocker.unblock(), house(tmp_path_factory.mktemp("house"), app=APP, more=more) as place:
            yield place


def attributes(span: Span) -> dict[str, object]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_what_a_worker_does_and_calls_for_a_request_is_one_trace(place, collector, silent_bell):
    bell.install(place.broker.ring)
    place.crew.hire()
    request = str(uuid7())
    with request_id.bound(request), transaction.atomic():
        operation = an_operation(now=clock.now(), steps=[StepPlan(name="1", kind="test.effect", desired={"polls": 0})])

    def is_told() -> bool:
        names = {span.name for span in collector.trace(request)}
        return {"step test.effect", "message test.settled", "POST outside"} <= names

    wait_for(is_told, what="the spans", report=place.crew.report)
    assert Operation.objects.get(pk=operation.pk).state == "succeeded"
    spans = collector.trace(request)
    step = next(span for span in spans if span.name == "step test.effect")
    call = next(span for span in spans if span.name == "POST outside")
    assert (step.parent_span_id, call.parent_span_id) == (b"", step.span_id)
    assert (step.kind, call.kind) == (Span.SPAN_KIND_CONSUMER, Span.SPAN_KIND_CLIENT)
    assert attributes(step)["gmud.operation"] == str(operation.pk)
    assert attributes(call) == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "http.response.status_code": 201,
    }


def test_a_web_server_names_the_trace_after_the_request_it_answers_and_tells_no_query(place, collector):
    port = free_port()
    command = (sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "gmud.wsgi:application")
    with (place.folder / "web.log").open("wb") as log:
        web = subprocess.Popen(command, cwd=ROOT, env=place.crew.environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(port) or web.poll() is not None, what="the web server")
        with urlopen(f"http://127.0.0.1:{port}/sign-in?next=/&code={CANARY}") as answer:
            request = answer.headers["X-Request-ID"]
        wait_for(lambda: collector.trace(request), what="the span")
    finally:
        web.terminate()
        web.wait()

    (span,) = collector.trace(request)
    assert UUID(bytes=span.trace_id) == UUID(request)
    assert (span.name, span.kind) == ("GET /sign-in", Span.SPAN_KIND_SERVER)
    assert attributes(span)["http.response.status_code"] == 200
    assert not any(CANARY.encode() in body for body in collector.bodies)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
import django
django.setup()
"""


@pytest.mark.parametrize(
    ("address", "code", "told"), [("http://127.0.0.1:9", 1, "add the extra, gmud[otel]"), ("", 0, "")]
)
def test_without_the_extra_who_asks_for_traces_is_told_and_who_does_not_needs_nothing(tmp_path, address, code, told):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "gmud.settings",
        "GMUD_DATA": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
    }
    done = subprocess.run(
        (sys.executable, "-c", WITHOUT), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
