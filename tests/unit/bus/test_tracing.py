"""Traces where nobody asked for them."""

import pytest

from shoal_bus import tracing


def test_without_an_endpoint_no_span_is_made_and_a_trace_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing.setup("gateway", "gateway-0")
    with tracing.span("a", None) as own:
        assert own is None
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with tracing.span("b", parent) as own:
        assert own == parent
