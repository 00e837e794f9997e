"""Curves in a few characters."""

import pytest

from shoal.cli.curves import curves, plot, spark


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([1.0], "▄"),
        ([2.0, 2.0], "▄▄"),
        ([0.0, 1.0], "▁█"),
        ([0.0, 0.0, 1.0, 1.0, 7.0, 7.0, 2.0, 2.0], "▁▂█▃"),
    ],
)
def test_spark(values: list[float], shown: str) -> None:
    assert spark(values, 4) == shown


def test_reports_become_curves_by_trial_and_metric() -> None:
    points = [
        {"trial_id": "e-1", "step": 2, "metrics": {"loss": 1, "note": "x", "bad": float("nan")}},
        {"trial_id": "e-1", "step": 1, "metrics": {"loss": 3.0}},
        {"trial_id": "e-0", "step": 1, "metrics": {"loss": 2.0, "inf": float("inf")}},
    ]
    assert curves(points) == {
        ("e-1", "loss"): [(1.0, 3.0), (2.0, 1.0)],
        ("e-0", "loss"): [(1.0, 2.0)],
    }


@pytest.mark.parametrize("colour", [True, False])
def test_a_plot_fits_and_names_its_curves(colour: bool) -> None:
    lines = {"e-0": [(1.0, 3.0), (2.0, 1.0)], "e-1": [(1.0, 2.0)]}
    text = plot(lines, "loss", width=60, height=12, colour=colour)
    assert all(word in text for word in ("e-0", "e-1", "loss"))
    assert len(text.splitlines()) <= 12
    assert ("\x1b" in text) == colour
    if not colour:
        assert max(map(len, text.splitlines())) <= 60
