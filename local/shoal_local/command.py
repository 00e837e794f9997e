"""`python -m shoal_local`: what `shoal up`, `down` and `demo` run."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer

from shoal.checkup.machine import gpus
from shoal_local import interrupt, state
from shoal_local.supervisor import StartError, Supervisor

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
StateDir = Annotated[
    Path | None, typer.Option(help="Where everything is kept; ~/.shoal/platform by default.")
]
CORES = max(1, (os.cpu_count() or 2) // 2)
Slots = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU slots of each machine. Left out: one machine that has this one's GPUs, or half"
        " of its cores where there is none.",
    ),
]
Machines = Annotated[
    int, typer.Option(min=1, help="Machines that the pool may grow to; not for GPUs.")
]


def main() -> None:
    """Run the command; SIGTERM ends it as Ctrl-C does."""
    interrupt.listen()
    try:
        # Without its stand-alone mode, typer returns the code.
        code = app(prog_name="shoal", standalone_mode=False)
        sys.exit(interrupt.EXIT_CODE if interrupt.told() else code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(interrupt.EXIT_CODE)
    except (StartError, OSError) as error:
        sys.exit(f"shoal: {error}")
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line
            print(f"shoal: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        raise


@app.command()
def up(
    state_dir: StateDir = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the gateway.")] = 8080,
    slots: Slots = None,
    machines: Machines = 2,
    idle: Annotated[float, typer.Option(min=0, help="Seconds until an idle machine ends.")] = 60,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go to the background.")] = False,
) -> None:
    """Start the platform on this machine, and keep it until Ctrl-C."""
    if (running := state.read()) is not None:
        typer.echo(f"shoal: a platform runs already, at {running.url}; `shoal down` ends it.")
        raise typer.Exit(1)
    folder = (state_dir or state.home() / "platform").absolute()
    if detach:
        _detach(folder, port, slots, machines, idle)
        return
    found = (gpus() or []) if slots is None else []
    with Supervisor(
        folder, slots=slots or CORES, machines=machines, gpus=found, idle=idle, port=port
    ) as platform:
        offer = f", with {len(found)} GPUs" if found else ""
        feed = f"Subscribers of events connect to {platform.feed_url}."
        typer.echo(f"Shoal runs at {platform.url}{offer} (files: {folder}). Ctrl-C ends it. {feed}")
        interrupt.wait()


def _detach(folder: Path, port: int, slots: int | None, machines: int, idle: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "shoal_local", "up", "--state-dir", str(folder), "--port", str(port),
        *(() if slots is None else ("--slots", str(slots))),
        "--machines", str(machines), "--idle", str(idle),
    ]  # fmt: skip
    with (folder / "up.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + 90
    while (running := state.read()) is None or running.pid != process.pid:
        if process.poll() is not None or time.monotonic() > end:
            raise StartError(f"the platform did not come up; see {folder / 'up.log'}")
        time.sleep(0.05)
    typer.echo(f"Shoal runs at {running.url}. `shoal down` ends it.")


@app.command()
def down() -> None:
    """End the platform of this machine, its workers too."""
    running = state.read()
    if running is None:
        typer.echo("No platform runs on this machine.")
        return
    process = psutil.Process(running.pid)
    process.terminate()
    process.wait(60)
    typer.echo("Shoal has ended.")


@app.command()
def demo(
    report: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("shoal-report"),
    state_dir: StateDir = None,
    trials: Annotated[int, typer.Option(min=2, help="Configurations to search.")] = 16,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Also kill -9 each service once, one at a time.")
    ] = False,
) -> None:
    """Search over real images on this machine, watched live, with a preemption in the middle."""
    from shoal_local.demo import Demo

    with Demo(report_dir=report, state_dir=state_dir, trials=trials, chaos=chaos) as show:
        raise typer.Exit(show.run())
