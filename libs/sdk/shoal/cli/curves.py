"""Metrics as people see them: a curve in a few characters, or a plot. Pure."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from math import isfinite
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
COLOURS = ("cyan+", "orange+", "green+", "magenta+", "blue+", "red+")
"""Of the curves in a plot, in turn."""
Curve = list[tuple[float, float]]
"""Points (step, value), by step."""


def curves(points: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Curve]:
    """Reports as a curve for each trial and metric. What is no finite number is left out."""
    found: dict[tuple[str, str], Curve] = {}
    for point in points:
        for name, value in point["metrics"].items():
            if isinstance(value, int | float) and isfinite(value):
                key = (str(point["trial_id"]), name)
                found.setdefault(key, []).append((float(point["step"]), float(value)))
    return {key: sorted(curve) for key, curve in found.items()}


def spark(values: Sequence[float], width: int = 20) -> str:
    """Values as a line of bars, the mean of neighbours where there are more than `width`.

    >>> spark([0.0, 0.5, 1.0])
    '▁▅█'
    """
    few = len(values) <= width
    cells = list(values) if few else [_mean(part) for part in _parts(values, width)]
    low, high = min(cells, default=0.0), max(cells, default=0.0)
    if low == high:
        return BARS[3] * len(cells)
    return "".join(BARS[round((v - low) / (high - low) * (len(BARS) - 1))] for v in cells)


def plot(
    lines: Mapping[str, Curve], title: str, *, width: int, height: int, colour: bool = False
) -> str:
    """Curves in one plot of `width` x `height` characters, each with its name."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height)
    for (name, curve), own in zip(lines.items(), cycle(COLOURS)):
        xs, ys = [x for x, _ in curve], [y for _, y in curve]
        plotext.plot(xs, ys, label=name, marker="braille", color=own if colour else None)
    plotext.title(title)
    text: str = plotext.build()
    return text.rstrip("\n") if colour else plotext.uncolorize(text).rstrip("\n")


def _parts(values: Sequence[float], number: int) -> list[Sequence[float]]:
    edges = [round(n * len(values) / number) for n in range(number + 1)]
    return [values[a:b] for a, b in pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
