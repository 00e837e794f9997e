"""`/v1/audit`: who changed what, and who tried."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from shoal_bus.consume import Consumer
from shoal_contract.events import RequestAudited
from shoal_contract.subjects import AUDIT
from shoal_gateway.core.paging import Page
from shoal_gateway.shell.answers.access import Audit
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.paging import MOST, Cursor, Paging
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1")

MOST_READ = 20_000
"""Records that one request looks at; then it tells where to go on."""


@router.get("/audit", responses=told(Audit))
async def audit(
    use: Annotated[Parts, Depends(parts)],
    user: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Requests that would change something, newest first. `next` is the next page's cursor, or
    null; a page may hold fewer than `limit`, or none, before the last."""
    held, last = await use.bus.extent(AUDIT)
    first = last - held + 1  # nothing is taken out of the middle
    paging = Paging(limit, cursor)
    after = paging.pair(str)
    end = last if after is None else min(last, int(after[0]) - 1)
    looked = end
    items: list[dict[str, Any]] = []
    while looked >= first and len(items) < limit and end - looked < MOST_READ:
        start = max(first, looked - limit + 1)
        for sequence, event in reversed(await _between(use, start, looked)):
            if user in (None, event.user):
                items.append({"id": sequence, **event.model_dump()})
        looked = start - 1
    items = items[:limit]
    if len(items) == limit:
        looked = items[-1]["id"] - 1
    following = (looked + 1, "") if looked >= first else None
    return paging.answer(Page(items, following))


async def _between(use: Parts, start: int, end: int) -> list[tuple[int, RequestAudited]]:
    """Records from one sequence to another, oldest first. Raises TimeoutError if they do not come:
    none is passed over."""
    found = []
    consumer = Consumer(use.bus, AUDIT, start=start, batch=min(256, end - start + 1))
    try:
        while consumer.last < end and (batch := await consumer.fetch(2.0)):
            for delivery in batch:
                event = delivery.envelope.event
                if delivery.sequence <= end and isinstance(event, RequestAudited):
                    found.append((delivery.sequence, event))
        if consumer.last < end:
            raise TimeoutError(f"the audit log could not be read up to {end}")
    finally:
        await consumer.close()
    return found
