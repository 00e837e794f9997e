"""`/v1/events`: everything that happens, as server-sent events or over a WebSocket."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, WebSocket

from shoal_contract.events import Event
from shoal_gateway.core import positions
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.sse import EventStream, Flow, ends
from shoal_gateway.shell.websocket import tell

router = APIRouter(prefix="/v1")

Experiment = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,96}$")]
Types = Annotated[list[str] | None, Query()]
Since = Literal["start", "now"]


@router.get("/events", response_class=EventStream, status_code=200)
async def events(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    experiment: Experiment = None,
    type: Types = None,
    since: Since = "now",
    follow: bool = True,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Events of what the caller may see, from the start or from now on; after `Last-Event-ID`, if
    that is sent.

    `type` may be repeated and is the beginning of an event's type, as in `trial.`. Without
    `follow`, the stream ends when all that has happened was told.
    """
    start = await _start(use, since, last_event_id)
    flow = _flow(use, who, start, experiment, type, follow)
    return EventStream(flow.messages(), use.settings.stall_timeout)


@router.websocket("/events/ws")
async def over_websocket(
    socket: WebSocket,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    experiment: Experiment = None,
    type: Types = None,
    since: Since = "now",
    follow: bool = True,
    after: str | None = None,
) -> None:
    """The same over a WebSocket; `after` is the `position` of the last message that was read."""
    start = await _start(use, since, after)
    flow = _flow(use, who, start, experiment, type, follow)
    await tell(socket, flow, use.stopping, use.settings.stall_timeout)


async def _start(use: Parts, since: Since, last: str | None) -> dict[str, int]:
    if last is None:
        return {} if since == "start" else await ends(use.bus)
    found = positions.decode(last)
    if found is None:
        detail = "The Last-Event-ID is none of ours. Connect again without it."
        raise ProblemError(400, detail)
    return found


def _flow(
    use: Parts,
    who: Caller,
    start: dict[str, int],
    experiment: str | None,
    type: list[str] | None,
    follow: bool,
) -> Flow:
    async def shown(event: Event) -> bool:
        return await use.directory.shown(who, event)

    return Flow(
        use.bus,
        start,
        experiment_id=experiment,
        types=tuple(type or ()),
        follow=follow,
        shown=shown,
        keep_alive=use.settings.keep_alive,
        stopping=use.stopping,
    )
