"""`/v1/experiments/{id}/logs`: what ranks wrote, read from the stream itself."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from shoal_bus.consume import Consumer
from shoal_contract.events import LogWritten
from shoal_contract.subjects import LOGS, all_of
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown
from shoal_gateway.shell.routes.experiments import experiment

router = APIRouter(prefix="/v1/experiments/{experiment_id}")


@router.get("/logs")
async def logs(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    trial: str | None = None,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> dict[str, Any]:
    """Pieces of the log, oldest first. To go on, ask again with `after` set to `next`."""
    await experiment(experiment_id, use)
    keys = (experiment_id,) if trial is None else (experiment_id, trial)
    if any(c in part for part in keys for c in ".*> "):
        raise unknown("trial", str(trial))
    subject = all_of("log.written", *keys)
    end = await use.bus.last_of(LOGS, subject)
    items: list[dict[str, Any]] = []
    consumer = Consumer(use.bus, LOGS, filters=[subject], start=after + 1, batch=min(limit, 256))
    try:
        while end > max(after, consumer.last) and len(items) < limit:
            found = await consumer.fetch(2.0)
            if not found:
                break
            for delivery in found[: limit - len(items)]:
                event = delivery.envelope.event
                if isinstance(event, LogWritten):
                    item = event.model_dump(exclude={"experiment_id", "allocation_id"})
                    items.append(item | {"id": delivery.sequence})
    finally:
        await consumer.close()
    return {"items": items, "next": items[-1]["id"] if items else after}
