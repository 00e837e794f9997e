"""The demo's report: one HTML file that opens anywhere, its pictures inside it."""

import html
import io
from dataclasses import dataclass
from pathlib import Path

from shoal_local.view import ExperimentRow, TrialRow, View


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search used, against training every one of its configurations in full."""

    units: int
    """Units of the time metric that were trained, summed over trials."""
    full_units: int
    slot_seconds: float
    """Slots times seconds held, from grant to release."""
    full_slot_seconds: float
    """An estimate: this search's own slot-seconds a unit, times `full_units`."""


def cost(view: View, experiment: ExperimentRow) -> Cost:
    """The cost of one experiment."""
    rows = [r for r in view.trials.values() if r.experiment_id == experiment.experiment_id]
    units = sum(row.time for row in rows)
    full = len(rows) * experiment.config.searcher.max_time
    seconds = sum(row.slot_seconds for row in rows)
    return Cost(units, full, seconds, seconds / units * full if units else 0.0)


def summary(view: View) -> list[str]:
    """The report in a few sentences, for the terminal."""
    lines = []
    for experiment in view.experiments.values():
        spent = cost(view, experiment)
        lines.append(f"{experiment.config.name} ({experiment.experiment_id}): {experiment.state}.")
        if experiment.best is not None:
            best = experiment.best
            lines.append(
                f"  best {experiment.config.searcher.metric} {best.metric:.4f}"
                f" by trial {best.trial_id} at {best.step}: {_flat(best.hyperparameters)}"
            )
        if spent.units:
            lines.append(
                f"  {spent.units} epochs and {spent.slot_seconds:.0f} slot-seconds for"
                f" {experiment.trials} configurations; all in full: {spent.full_units} epochs,"
                f" about {spent.full_slot_seconds:.0f} slot-seconds"
                f" ({spent.full_units / spent.units:.1f}x)"
            )
    preempted = [r.trial_id for r in view.trials.values() if r.preemptions or r.restarts_lost]
    if preempted:
        lines.append(f"Preempted and gone on from a checkpoint: {', '.join(preempted)}.")
    return lines


def write(view: View, folder: Path, *, state_dir: Path, seconds: float) -> Path:
    """Write `report.html` and `curves.png` into `folder`; returns the HTML file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for number, experiment in enumerate(view.experiments.values()):
        png = _curves(view, experiment)
        (folder / f"curves-{number}.png").write_bytes(png)
        sections.append(_section(view, experiment, f"curves-{number}.png", png))
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in view.notes)
    page = _PAGE.format(
        seconds=seconds,
        sections="".join(sections),
        notes=notes,
        files=html.escape(str(state_dir)),
    )
    file = folder / "report.html"
    file.write_text(page)
    return file


def _section(view: View, experiment: ExperimentRow, name: str, png: bytes) -> str:
    import base64

    config, spent = experiment.config, cost(view, experiment)
    head = f"<h2>{html.escape(config.name)} <small>{experiment.experiment_id}</small></h2>"
    best = ""
    if experiment.best is not None:
        b = experiment.best
        where = (
            f"<br>checkpoint: <code>{html.escape(b.checkpoint.url)}</code>" if b.checkpoint else ""
        )
        best = (
            f"<p class=best>Best {html.escape(config.searcher.metric)}: <b>{b.metric:.4f}</b>"
            f" by trial {b.trial_id} after {b.step} steps<br>"
            f"<code>{html.escape(_flat(b.hyperparameters))}</code>{where}</p>"
        )
    ratio = f"{spent.full_units / spent.units:.1f} times less" if spent.units else "nothing trained"
    money = (
        f"<p>{spent.units} epochs in {spent.slot_seconds:.1f} slot-seconds. Every configuration in"
        f" full: {spent.full_units} epochs, about {spent.full_slot_seconds:.0f} slot-seconds at the"
        f" same pace: {ratio}.</p>"
    )
    picture = base64.b64encode(png).decode()
    image = f'<img alt="learning curves" src="data:image/png;base64,{picture}">'
    rows = "".join(
        _row(r) for r in view.trials.values() if r.experiment_id == experiment.experiment_id
    )
    return f"<section>{head}{best}{money}{image}<table>{_HEADER}{rows}</table></section>"


_HEADER = (
    "<tr><th>trial<th>state<th>epochs<th>rung<th>last<th>slots<th>attempts"
    "<th>preempted<th>slot-s<th>hyperparameters</tr>"
)


def _row(row: TrialRow) -> str:
    metric = "" if row.metric is None else f"{row.metric:.4f}"
    rung = "" if row.rung is None else row.rung
    return (
        f"<tr><td>{row.trial_id}<td>{row.state}<td>{row.time}<td>{rung}<td>{metric}"
        f"<td>{row.slots}<td>{row.attempts}<td>{row.preemptions or ''}"
        f"<td>{row.slot_seconds:.1f}<td><code>{html.escape(_flat(row.hyperparameters))}</code></tr>"
    )


def _flat(values: dict[str, object]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
    )


def _curves(view: View, experiment: ExperimentRow) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    best = experiment.best.trial_id if experiment.best else None
    for row in view.trials.values():
        if row.experiment_id != experiment.experiment_id or not row.curve:
            continue
        x, y = zip(*row.curve, strict=True)
        if row.trial_id == best:
            axes.plot(x, y, color="#d9480f", linewidth=2.4, marker="o", markersize=3.5,
                      label=f"{row.trial_id} (best)", zorder=3)  # fmt: skip
        else:
            axes.plot(x, y, color="#4a6fa5", alpha=0.55, linewidth=1.2, marker="o", markersize=2)
    axes.set_xlabel("epoch" if experiment.config.searcher.time_metric == "step"
                    else experiment.config.searcher.time_metric)  # fmt: skip
    axes.set_ylabel(experiment.config.searcher.metric)
    axes.grid(alpha=0.25)
    if best:
        axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Shoal: report of a search</title>
<style>
 body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
        padding: 0 1rem; color: #1c2733; }}
 h1 small, h2 small {{ color: #7b8794; font-weight: normal; }}
 .best {{ background: #fff4e6; padding: .7rem 1rem; border-left: 4px solid #d9480f; }}
 img {{ max-width: 100%; }}
 table {{ border-collapse: collapse; font-size: 13px; width: 100%; }}
 th {{ text-align: left; color: #7b8794; }} td, th {{ padding: .2rem .5rem; }}
 td:first-child, th {{ white-space: nowrap; }}
 tr:nth-child(even) {{ background: #f4f6f8; }} code {{ font-size: 12px; }}
</style>
<h1>Shoal <small>a search in {seconds:.0f} s</small></h1>
{sections}
<h2>What happened</h2><ul>{notes}</ul>
<p>Logs, checkpoints and events: <code>{files}</code></p>
</html>
"""
