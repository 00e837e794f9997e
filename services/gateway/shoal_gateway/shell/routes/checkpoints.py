"""`/v1/experiments/{id}/checkpoints`: what is in storage, and what people want of it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends

from shoal_contract.events import CheckpointChangeRequested
from shoal_gateway.core import keys
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.trials import CheckpointRequested, Checkpoints, KeptCheckpoint
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.requests import ask
from shoal_gateway.shell.routes.trials import ids_of

router = APIRouter(prefix="/v1/experiments/{experiment_id}/checkpoints")

Wish = Literal["pin", "unpin", "remove"]


@router.get("", responses=told(Checkpoints))
async def checkpoints(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    trial: str | None = None,
    removed: bool = False,
) -> dict[str, Any]:
    """Checkpoints, trial by trial, oldest first. `state` is `saved`, `pinned`, `leaving` (a person
    wants it removed), or `removed`; those are listed if so wished."""
    ids = await ids_of(use, experiment_id, trial)
    saved = await use.store.items([keys.checkpoints(i) for i in ids])
    changes = await use.store.rows([keys.checkpoint_changes(i) for i in ids])
    items = [_row(item, its) for found, its in zip(saved, changes, strict=True) for item in found]
    return {"items": [item for item in items if removed or item["state"] != "removed"]}


@router.get("/{checkpoint_id}", responses=told(KeptCheckpoint))
async def checkpoint(
    experiment_id: str, checkpoint_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One checkpoint, also after it was removed."""
    trial_id = checkpoint_id.rsplit("-", 2)[0]
    found = await checkpoints(experiment_id, use, trial_id, removed=True)
    for item in found["items"]:
        if item["checkpoint_id"] == checkpoint_id:
            return dict(item)
    raise unknown("checkpoint", checkpoint_id)


@router.delete("/{checkpoint_id}", status_code=202, responses=told(CheckpointRequested, 202))
async def remove(
    experiment_id: str, checkpoint_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Have a checkpoint removed as soon as no trial needs it. A worker does it."""
    return await _change(experiment_id, checkpoint_id, "remove", use)


@router.post("/{checkpoint_id}/{change}", status_code=202, responses=told(CheckpointRequested, 202))
async def change(
    experiment_id: str,
    checkpoint_id: str,
    change: Literal["pin", "unpin"],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Keep a checkpoint whatever its experiment says, or no longer."""
    return await _change(experiment_id, checkpoint_id, change, use)


async def _change(
    experiment_id: str, checkpoint_id: str, change: Wish, use: Parts
) -> dict[str, Any]:
    found = await checkpoint(experiment_id, checkpoint_id, use)
    if found["state"] == "removed":
        detail = f"The checkpoint {checkpoint_id} was removed."
        raise ProblemError(409, detail, kind="urn:shoal:problem:ended")
    if found["state"] == "pinned" and change == "remove":
        detail = f"The checkpoint {checkpoint_id} is pinned: unpin it first."
        raise ProblemError(409, detail, kind="urn:shoal:problem:pinned")
    await _ask(use, experiment_id, found, change)
    return {"checkpoint_id": checkpoint_id, "requested": change, "state": found["state"]}


async def drop(use: Parts, experiment_id: str, found: Row) -> None:
    """Ask that a checkpoint, by its row, is removed as soon as no trial needs it."""
    await _ask(use, experiment_id, found, "remove")


async def _ask(use: Parts, experiment_id: str, found: Row, change: Wish) -> None:
    event = CheckpointChangeRequested(
        experiment_id=experiment_id,
        trial_id=found["trial_id"],
        url=found["url"],
        change=change,
    )
    await ask(use, event, change)


def _row(item: Row, changes: Row) -> Row:
    asked = str(changes.get(f"asked {item['url']}"))
    state = {"pin": "pinned", "remove": "leaving"}.get(asked, "saved")
    gone = changes.get(f"removed {item['url']}")
    return item | {"state": state if gone is None else "removed", "removed_at": gone}
