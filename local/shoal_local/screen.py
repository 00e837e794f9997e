"""The live view of the demo: a table of trials, a line for each machine, the latest notes."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shoal.words import counted
from shoal_local.view import TrialRow, View

_COLOURS = {
    "running": "green", "queued": "yellow", "paused": "cyan", "completed": "bold green",
    "stopped": "dim", "failed": "red", "cancelled": "red", "created": "dim",
}  # fmt: skip
NOTES = 5


def draw(view: View, seconds: float, width: int) -> RenderableType:
    """The whole screen. `seconds`: since the search began; `width`: of the terminal, in cells."""
    return Group(_headline(view, seconds), _trials(view, width), _machines(view), _notes(view))


def _headline(view: View, seconds: float) -> Text:
    done = sum(r.state in ("completed", "stopped", "failed") for r in view.trials.values())
    text = Text.assemble(("Shoal ", "bold"), f"{seconds:5.1f} s  ")
    text.append(f"{counted(len(view.trials), 'trial')}, {done} ended")
    for row in view.experiments.values():
        text.append(f"   {row.config.name} ({row.experiment_id}): {row.state}", style="bold")
    return text


def _trials(view: View, width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("trial", "state", "slots", "where", "trained", "rung", "metric", "best"):
        table.add_column(name, justify="left" if name in ("trial", "state", "where") else "right")
    table.add_column("preempted", justify="right")
    if width >= 100:
        table.add_column("")
    for row in view.trials.values():
        best = _best(view, row)
        cells: list[str | Text] = [
            row.trial_id,
            Text(row.state, style=_COLOURS.get(row.state, "")),
            str(row.slots or ""),
            ", ".join(row.nodes),
            f"{row.time}/{row.target}" if row.target else "",
            "" if row.rung is None else str(row.rung),
            "" if row.metric is None else f"{row.metric:.4f}",
            "" if best is None else f"{best:.4f}",
            str(row.preemptions or ""),
        ]
        if width >= 100:
            full = view.experiments[row.experiment_id].config.searcher.max_time
            cells.append(_bar(row.time, full))
        table.add_row(*cells)
    return table


def _best(view: View, row: TrialRow) -> float | None:
    experiment = view.experiments.get(row.experiment_id)
    if experiment is None or not row.curve:
        return None
    values = [metric for _, metric in row.curve]
    return min(values) if experiment.config.searcher.smaller_is_better else max(values)


def _bar(time: int, full: int, cells: int = 16) -> Text:
    filled = round(cells * min(1.0, time / full))
    return Text("━" * filled, style="green") + Text("─" * (cells - filled), style="dim")


def _machines(view: View) -> Text:
    text = Text()
    for node, what in view.nodes.items():
        if what == "gone":
            continue
        used = sum(len(row.nodes) and row.slots // len(row.nodes) for row in view.running(node))
        text.append(f"{node} ", style="bold")
        text.append(f"{what} {used}/{view.node_slots[node]} slots   ")
    return text or Text("waiting for machines", style="dim")


def _notes(view: View) -> Panel:
    lines = view.notes[-NOTES:] or ["…"]
    return Panel(Text("\n".join(lines)), title="what happened", title_align="left", style="dim")
