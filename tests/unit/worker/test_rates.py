"""Throughput and traffic, from two looks at what counts up."""

import pytest

from shoal_worker.core.rates import Mark, Traffic, throughput, traffic


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        (Mark(10, 5, 320), Mark(14, 7, 448), {"steps_per_second": 0.5, "samples_per_second": 32}),
        (Mark(10, 5), Mark(14, 7, 448), {"steps_per_second": 0.5}),
        (Mark(10, 5), Mark(14, 5), {"steps_per_second": 0}),
        (Mark(10, 5, 320), Mark(10, 5, 320), {}),  # nothing was reported since
        (Mark(0, 5), Mark(14, 7), {}),  # the first report: when it began is not known
        (Mark(10, 5), Mark(14, 3), {}),  # the script began again
        (None, Mark(14, 7), {}),
    ],
)
def test_throughput(before: Mark | None, now: Mark, wanted: dict[str, float]) -> None:
    assert throughput(before, now) == wanted


def test_traffic() -> None:
    found = traffic(Traffic(3.0, 100, 1000), Traffic(5.0, 300, 40))  # the second began anew
    assert list(found.values()) == [100, 20]
