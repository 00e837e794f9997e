"""`shoal checkpoint ls`, `download`, `rm`, `pin`, `unpin`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from shoal.answers.trials import KeptCheckpoint
from shoal.cli.base import AnyId, client, commands, parts
from shoal.cli.printing import in_json, table, tell, tell_one
from shoal.cli.progress import transferring
from shoal.client import ShoalError

group = commands("See, copy, keep and remove checkpoints.")
One = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="Its id, as `shoal checkpoint ls` shows.")
]
Some = Annotated[list[str], typer.Argument(metavar="CHECKPOINT...", help="Their ids.")]


@group.command()
def ls(
    id: AnyId,
    all: Annotated[bool, typer.Option("--all", help="Those that were removed, too.")] = False,
) -> None:
    """List the checkpoints of an experiment or a trial, oldest first."""
    experiment, trial = parts(id)
    found = client().checkpoints(experiment, trial=trial, removed=all)
    if in_json(found):
        return
    rows = [[c["checkpoint_id"], c["step"], _size(c["size"]), c["state"], c["url"]] for c in found]
    table(["CHECKPOINT", "STEP", "SIZE", "STATE", "ADDRESS"], rows, "No checkpoint yet.")


@group.command()
def download(
    checkpoint: One,
    folder: Annotated[
        Path | None, typer.Argument(help="Where to; by default a new folder of its name.")
    ] = None,
) -> None:
    """Copy a checkpoint from storage, checking every file."""
    target = Path(checkpoint) if folder is None else folder
    if target.exists():
        raise ShoalError(f"{target} exists: name a folder that does not.")
    found = client().checkpoint(checkpoint)
    if found["state"] == "removed":
        raise ShoalError(f"The checkpoint {checkpoint} was removed.")
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _copy(found, draft)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    tell(found | {"folder": str(target)}, f"{checkpoint} is in {target}.")


@group.command()
def rm(checkpoints: Some) -> None:
    """Remove checkpoints, each as soon as no trial needs it. A worker does it."""
    for one in checkpoints:
        found = client().remove_checkpoint(one)
        tell_one(found, f"{one} is to be removed.")


@group.command()
def pin(checkpoints: Some) -> None:
    """Keep checkpoints, whatever the experiment's settings say."""
    for one in checkpoints:
        found = client().pin_checkpoint(one)
        tell_one(found, f"{one} is kept. `shoal checkpoint unpin {one}` lets it go.")


@group.command()
def unpin(checkpoints: Some) -> None:
    """Keep checkpoints only as the experiment's settings say."""
    for one in checkpoints:
        found = client().unpin_checkpoint(one)
        tell_one(found, f"{one} is kept as its experiment says.")


def _copy(found: KeptCheckpoint, target: Path) -> None:
    from shoal.training.checkpoints import MANIFEST, CheckpointError, Folder

    try:
        source = Folder(found["url"])
        files = source.manifest()["files"]
        with transferring(found["checkpoint_id"]) as advance:
            for name, entry in files.items():
                source.fetch(name, entry, target, lambda size: advance(size, found["size"]))
        source.fetch(MANIFEST, source.about(MANIFEST), target, lambda _: None)
    except CheckpointError as error:
        raise ShoalError(f"{error}.") from error


def _size(size: int) -> str:
    """Bytes, as people say it."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
