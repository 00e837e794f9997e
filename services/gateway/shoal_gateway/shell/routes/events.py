"""`/v1/events`: everything that happens, as server-sent events."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query

from shoal_gateway.core import positions
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.sse import EventStream, Flow, ends

router = APIRouter(prefix="/v1")


@router.get("/events", response_class=EventStream)
async def events(
    use: Annotated[Parts, Depends(parts)],
    experiment: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,96}$")] = None,
    type: Annotated[list[str] | None, Query()] = None,
    since: Literal["start", "now"] = "now",
    follow: bool = True,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Events from the start or from now on; after `Last-Event-ID`, if that is sent.

    `type` may be repeated and is the beginning of an event's type, as in `trial.`. Without
    `follow`, the stream ends when all that has happened was told.
    """
    if last_event_id is not None:
        found = positions.decode(last_event_id)
        if found is None:
            detail = "The Last-Event-ID is none of ours. Connect again without it."
            raise ProblemError(400, detail)
        start = found
    else:
        start = {} if since == "start" else await ends(use.bus)
    flow = Flow(
        use.bus,
        start,
        experiment_id=experiment,
        types=tuple(type or ()),
        follow=follow,
        keep_alive=use.settings.keep_alive,
        stopping=use.stopping,
    )
    return EventStream(flow, use.settings.stall_timeout)
