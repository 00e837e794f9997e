"""`/v1/experiments/{id}/checkpoints`: what is in storage, and what people want of it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends

from shoal_contract.events import CheckpointChangeRequested
from shoal_gateway.core import keys
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.trials import CheckpointRequested, Checkpoints, KeptCheckpoint
from shoal_gateway.shell.paging import Paging, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.requests import ask
from shoal_gateway.shell.routes.trials import numbered, trial_by_trial

router = APIRouter(prefix="/v1/experiments/{experiment_id}/checkpoints")

Wish = Literal["pin", "unpin", "remove"]


@router.get("", responses=told(Checkpoints))
async def checkpoints(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
    trial: str | None = None,
    removed: bool = False,
) -> dict[str, Any]:
    """Checkpoints, trial by trial, oldest first. `state` is `saved`, `pinned`, `leaving` (a person
    wants it removed), or `removed`; those are listed if so wished."""
    return await _page(use, experiment_id, paging, trial, removed=removed)


@router.get("/{checkpoint_id}", responses=told(KeptCheckpoint))
async def checkpoint(
    experiment_id: str, checkpoint_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One checkpoint, also after it was removed."""
    trial_id = checkpoint_id.rsplit("-", 2)[0]
    for item in await saved(use, experiment_id, trial_id, removed=True):
        if item["checkpoint_id"] == checkpoint_id:
            return item
    raise unknown("checkpoint", checkpoint_id)


@router.delete("/{checkpoint_id}", status_code=202, responses=told(CheckpointRequested, 202, 409))
async def remove(
    experiment_id: str, checkpoint_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Have a checkpoint removed as soon as no trial needs it. A worker does it."""
    return await _change(experiment_id, checkpoint_id, "remove", use)


@router.post(
    "/{checkpoint_id}/{change}", status_code=202, responses=told(CheckpointRequested, 202, 409)
)
async def change(
    experiment_id: str,
    checkpoint_id: str,
    change: Literal["pin", "unpin"],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Keep a checkpoint whatever its experiment says, or no longer."""
    return await _change(experiment_id, checkpoint_id, change, use)


async def saved(
    use: Parts, experiment_id: str, trial_id: str | None = None, *, removed: bool = False
) -> list[Row]:
    """All checkpoints of an experiment, or of one of its trials."""
    page = await _page(use, experiment_id, Paging(None, None), trial_id, removed=removed)
    found: list[Row] = page["items"]
    return found


async def _page(
    use: Parts, experiment_id: str, paging: Paging, trial_id: str | None, *, removed: bool
) -> Row:
    async def read(ids: list[str]) -> list[list[Row]]:
        found = await use.store.items([keys.checkpoints(i) for i in ids])
        changes = await use.store.rows([keys.checkpoint_changes(i) for i in ids])
        return [[_row(item, its) for item in one] for one, its in zip(found, changes, strict=True)]

    trials = await numbered(use, experiment_id, trial_id)
    return await trial_by_trial(
        paging, trials, read, lambda item: removed or item["state"] != "removed"
    )


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
