"""The plot of simulated searches."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from shoal_simulator.search import Result


def draw(path: Path, results: Sequence[Result], metric: str, target: float) -> None:
    """Best-so-far over virtual time, a line a search, and the target."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for result in results:
        seconds = [point.seconds for point in result.points]
        best = [point.best for point in result.points]
        axes.step(seconds, best, where="post", color="tab:blue", alpha=0.35, linewidth=1)
    axes.axhline(target, color="tab:red", linestyle="--", linewidth=1, label="target")
    axes.set(xlabel="virtual seconds", ylabel=f"best {metric} so far")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)
