"""`/v1/events`: everything that happens, as server-sent events or over a WebSocket."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, WebSocket

from shoal_contract.events import Event
from shoal_gateway.core import positions
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import refusals
from shoal_gateway.shell.auth import Standing
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown, wrong
from shoal_gateway.shell.sse import EventStream, Flow, ends
from shoal_gateway.shell.websocket import tell

router = APIRouter(prefix="/v1")

Since = Literal["start", "now"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and what is wanted."""

    use: Annotated[Parts, Depends(parts)]
    standing: Annotated[Standing, Depends(Standing)]
    experiment: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,96}$")] = None
    workspace: str | None = None
    type: Annotated[list[str] | None, Query()] = None
    follow: bool = True

    async def still(self) -> Caller:
        """Who reads, as of now. Raises ProblemError for one who may read no more."""
        who = await self.standing()
        name = self.workspace
        if name is not None and (
            name not in self.use.ledger.state.workspaces or who.role_in(name) is None
        ):
            raise unknown("workspace", name)
        return who

    async def shown(self, event: Event) -> bool:
        """Whether an event is told."""
        return await self.use.directory.shown(await self.still(), event, self.workspace)

    async def flow(self, since: Since, last: str | None, called: str) -> Flow:
        """The events, from the start or from now on, or after a position, a parameter that is
        `called` so. Raises ProblemError."""
        await self.still()
        start = {} if since == "start" or last else await ends(self.use.bus)
        if last is not None:
            found = positions.decode(last)
            if found is None:
                detail = f"The {called} is none of ours. Connect again without it."
                raise wrong(called, detail, 400)
            start = found
        return Flow(
            self.use.bus,
            start,
            experiment_id=self.experiment,
            types=tuple(self.type or ()),
            follow=self.follow,
            shown=self.shown,
            still=self.still,
            keep_alive=self.use.settings.keep_alive,
            stopping=self.use.stopping,
        )


@router.get("/events", response_class=EventStream, status_code=200, responses=refusals(404))
async def events(
    reader: Annotated[Reader, Depends(Reader)],
    since: Since = "now",
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Events of what the caller may see, from the start or from now on; after `Last-Event-ID`, if
    that is sent.

    `type` may be repeated and is the beginning of an event's type, as in `trial.`. With
    `workspace`, only events of its experiments. Without `follow`, the stream ends when all that
    has happened was told. An event `problem` is the last, and says why.
    """
    flow = await reader.flow(since, last_event_id, "Last-Event-ID")
    use = reader.use
    return EventStream(flow.messages(), use.settings.stall_timeout, use.readers)


@router.websocket("/events/ws")
async def over_websocket(
    socket: WebSocket,
    reader: Annotated[Reader, Depends(Reader)],
    since: Since = "now",
    after: str | None = None,
) -> None:
    """The same over a WebSocket; `after` is the `position` of the last message that was read."""
    use, flow = reader.use, await reader.flow(since, after, "after")
    await tell(socket, flow, use.stopping, use.settings.stall_timeout, use.readers)
