"""Traces and metrics: W3C trace context through events, OpenTelemetry export where asked for.

Export goes out over OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set, as the specification says:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics, propagate, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_tracer = trace.get_tracer("shoal")
_meter = metrics.get_meter("shoal")

dead_letters = _meter.create_counter(
    "shoal.dead_letters", description="messages that a consumer could not use"
)
decided = _meter.create_counter("shoal.decided", description="events that a decider appended")


def setup(service: str, replica: str) -> None:
    """Make and export this process's traces and metrics, if an endpoint is configured. Else a trace
    that came along goes on unchanged: spans that nobody sees would cost each request a fifth."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    resource = Resource.create({"service.name": f"shoal-{service}", "service.instance.id": replica})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())]
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=readers))


def traceparent() -> str | None:
    """The current span as a W3C `traceparent`, or None outside of any."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(name: str, parent: str | None) -> Iterator[str | None]:
    """A span that continues the trace of `parent` (a `traceparent`); yields its own."""
    context = propagate.extract({"traceparent": parent}) if parent else None
    with _tracer.start_as_current_span(name, context=context):
        yield traceparent()
