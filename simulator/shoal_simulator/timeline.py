"""The picture of who ran where."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from shoal_simulator.watch import Stay


def draw(path: Path, stays: Sequence[Stay]) -> None:
    """A bar for each allocation on each slot, a colour for each experiment."""
    rows = sorted({(stay.node_id, stay.slot) for stay in stays})
    line = {row: number for number, row in enumerate(rows)}
    owners = list(dict.fromkeys(_experiment(stay) for stay in stays))
    colours = plt.get_cmap("tab20")
    figure, axes = plt.subplots(
        figsize=(11, min(30.0, 1.5 + 0.18 * len(rows))), layout="constrained"
    )
    for owner in owners:
        mine = [stay for stay in stays if _experiment(stay) == owner]
        axes.barh(
            [line[stay.node_id, stay.slot] for stay in mine],
            [stay.until - stay.since for stay in mine],
            left=[stay.since for stay in mine],
            color=colours(owners.index(owner) % 20),
            edgecolor="white",
            linewidth=0.3,
            label=owner,
        )
    axes.set_yticks(range(len(rows)), [f"{node}:{slot}" for node, slot in rows], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    if len(owners) <= 20:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _experiment(stay: Stay) -> str:
    return stay.trial_id.rpartition("-")[0]
