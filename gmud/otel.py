"""Spans in OpenTelemetry's words, sent over OTLP; imported only where the extra ``otel`` is asked for.

The id of a trace is the id of the request it belongs to, without hyphens: what a line of the log names finds its trace,
from the click through the outbox to the worker.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from releases.core import request_id
from releases.core.tracing import Opener, Span, SpanKind


def trace_id_of(request: str) -> int:
    """Return the 128 bits that name the trace of a request; an id from a proxy that is no UUID is hashed."""
    try:
        return UUID(request).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(request.encode()).digest()[:16])


class Ids(RandomIdGenerator):
    """Names a trace after the request we work for."""

    def generate_trace_id(self) -> int:
        """Return the id of a trace that begins."""
        request = request_id.current()
        return trace_id_of(request) if request else super().generate_trace_id()


class Told:
    """A span of theirs, as ours."""

    def __init__(self, span: trace.Span) -> None:
        """Keep it."""
        self._span = span

    def tell(self, attributes: Mapping[str, str | int]) -> None:
        """Add what is known only now."""
        self._span.set_attributes(dict(attributes))

    def rename(self, name: str) -> None:
        """Say better what it is."""
        self._span.update_name(name)


def opener(service: str) -> Opener:
    """Return what opens spans; they are sent in batches, from a thread of its own, to where the variables say."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), id_generator=Ids())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("gmud")

    @contextmanager
    def opened(name: str, kind: SpanKind, attributes: Mapping[str, str | int]) -> Iterator[Span]:
        # What an error says may hold what nobody should read; its class is enough.
        with tracer.start_as_current_span(
            name,
            kind=trace.SpanKind[kind.name],
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield Told(span)
            except BaseException as error:
                span.set_status(trace.StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise

    return opened
