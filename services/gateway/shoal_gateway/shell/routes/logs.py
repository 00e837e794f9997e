"""`/v1/experiments/{id}/logs`: what ranks wrote, read from the stream itself."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from shoal_bus.bus import AWAY
from shoal_bus.consume import Consumer
from shoal_contract.events import LogWritten
from shoal_contract.states import EXPERIMENT, ExperimentState, terminal
from shoal_contract.subjects import LOGS, all_of
from shoal_gateway.core.log_filter import LogFilter, PatternError
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.experiments import experiment
from shoal_gateway.shell.sse import EventStream

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

WINDOW = 2000
"""Events of the stream, of whatever experiment, among which the end of a log is looked for first;
then among eight times as many, and so on."""
Item = dict[str, Any]


def log_filter(
    rank: Annotated[int | None, Query(ge=0)] = None,
    stream: Literal["stdout", "stderr"] | None = None,
    level: Literal["debug", "info", "warning", "error", "critical"] | None = None,
    search: Annotated[str | None, Query(max_length=500)] = None,
    regex: Annotated[str | None, Query(max_length=500)] = None,
) -> LogFilter:
    """Which lines are wanted."""
    try:
        return LogFilter(rank=rank, stream=stream, level=level, search=search, regex=regex)
    except PatternError as error:
        detail = f"regex: {error}"
        raise ProblemError(422, detail, kind="urn:shoal:problem:request") from error


@router.get(
    "/logs",
    response_model=dict[str, Any],
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def logs(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    wanted: Annotated[LogFilter, Depends(log_filter)],
    trial: str | None = None,
    after: Annotated[int | None, Query(ge=0)] = None,
    tail: Annotated[int | None, Query(ge=1, le=5000)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    follow: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Pieces of the log, oldest first. To go on, ask again with `after` set to `next`; `complete`
    says whether the log's end was reached. `tail`: the last so many lines instead.

    `level` takes graver ones in, and `search` and `regex` are looked for line by line. With
    `follow`, the answer is a stream of server-sent events that goes on until the experiment has
    ended; `Last-Event-ID` resumes it.
    """
    await experiment(experiment_id, use)
    keys = (experiment_id,) if trial is None else (experiment_id, trial)
    if any(c in part for part in keys for c in ".*> "):
        raise unknown("trial", str(trial))
    log = _Log(use, all_of("log.written", *keys), wanted)
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after, tail = int(last_event_id), None
    first: list[Item] = []
    if tail is not None:
        first, after = await log.tail(tail)
    if follow:
        messages = _messages(use, experiment_id, log, first, after or 0)
        return EventStream(messages, use.settings.stall_timeout)
    if tail is not None:
        return JSONResponse({"items": first, "next": after, "complete": True})
    items, last, complete = await log.page(after or 0, limit)
    return JSONResponse({"items": items, "next": last, "complete": complete})


class _Log:
    """One log, and what is wanted of it."""

    def __init__(self, use: Parts, subject: str, wanted: LogFilter) -> None:
        self._use, self._subject, self._wanted = use, subject, wanted

    def consumer(self, after: int, batch: int = 256) -> Consumer:
        """A reader of what comes after a place in the stream."""
        return Consumer(self._use.bus, LOGS, filters=[self._subject], start=after + 1, batch=batch)

    async def fetch(self, consumer: Consumer, wait: float) -> list[Item]:
        """What is wanted of what came."""
        found: list[Item] = []
        for delivery in await consumer.fetch(wait):
            if isinstance(event := delivery.envelope.event, LogWritten):
                found += self._wanted.items(delivery.sequence, event)
        return found

    async def page(self, after: int, limit: int) -> tuple[list[Item], int, bool]:
        """At least `limit` items, if there are so many: a piece is never cut. And after which
        place to go on, and whether nothing is left. Gives up looking after a while."""
        end = await self._use.bus.last_of(LOGS, self._subject)
        items: list[Item] = []
        consumer = self.consumer(after, min(limit, 256))
        deadline = asyncio.get_running_loop().time() + self._use.settings.read_timeout
        try:
            while end > max(after, consumer.last) and len(items) < limit:
                before = consumer.last
                items += await self.fetch(consumer, 2.0)
                late = asyncio.get_running_loop().time() > deadline
                if late or consumer.last == before:
                    break
        finally:
            await _close(consumer)
        last = max(after, consumer.last)
        return items, last, last >= end

    async def tail(self, lines: int) -> tuple[list[Item], int]:
        """The last so many lines, and the place after which the next one comes."""
        end, window = await self._use.bus.last_of(LOGS, self._subject), WINDOW
        while True:
            after = max(0, end - window)
            items: list[Item] = []
            reached = after
            while reached < end:
                found, last, complete = await self.page(reached, 5000)
                items = _last(items + found, lines)
                if complete or last == reached:
                    break
                reached = last
            if after == 0 or sum(len(item["lines"]) for item in items) >= lines:
                return items, end
            window *= 8


def _last(items: list[Item], lines: int) -> list[Item]:
    """The last so many lines of items."""
    kept: list[Item] = []
    for item in reversed(items):
        if lines <= 0:
            break
        spare = max(0, len(item["lines"]) - lines)
        kept.append(item | {"lines": item["lines"][spare:], "sequence": item["sequence"] + spare})
        lines -= len(item["lines"])
    return kept[::-1]


async def _messages(
    use: Parts, experiment_id: str, log: _Log, first: list[Item], after: int
) -> AsyncIterator[str]:
    """Items as server-sent events, until the experiment has ended and all was told."""
    for item in first:
        yield _message(item)
    yield f"id: {after}\n: the log\n\n"
    consumer = log.consumer(after)
    try:
        while not use.stopping.is_set():
            before = consumer.last
            for item in await log.fetch(consumer, use.settings.keep_alive):
                yield _message(item)
            if consumer.last == before:
                row = await experiment(experiment_id, use)
                if terminal(EXPERIMENT, ExperimentState(row["state"])):
                    yield "event: end\ndata: {}\n\n"
                    return
                yield ": still here\n\n"
    finally:
        await _close(consumer)


def _message(item: Item) -> str:
    text = json.dumps(item, separators=(",", ":"))
    return f"id: {item['id']}\nevent: log\ndata: {text}\n\n"


async def _close(consumer: Consumer) -> None:
    with contextlib.suppress(*AWAY):
        await consumer.close()
