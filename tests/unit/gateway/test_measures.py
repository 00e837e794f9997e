"""Histograms of answers, as Prometheus reads them."""

from shoal_gateway.shell.measures import BOUNDS, Measures


def test_buckets_hold_all_that_was_as_fast() -> None:
    measures = Measures()
    for seconds in (0.001, 0.005, 0.03, 99.0):
        measures.add(("GET", "/v1/pools/{pool}", 200), seconds)
    measures.add(("GET", "none", 401), 0.2)
    lines = list(measures.lines())
    labels = 'method="GET",route="/v1/pools/{pool}",status="200"'
    name = "shoal_http_request_duration_seconds"
    for bound, count in ((0.005, 2), (0.025, 2), (0.05, 3), (10.0, 3), ("+Inf", 4)):
        assert f'{name}_bucket{{{labels},le="{bound}"}} {count}' in lines
    assert f"{name}_count{{{labels}}} 4" in lines
    assert f"{name}_sum{{{labels}}} 99.036000" in lines
    assert len(lines) == 2 + 2 * (len(BOUNDS) + 3)
