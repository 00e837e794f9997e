"""`/v1/experiments/{id}/logs`: what ranks wrote, read from the stream itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from shoal_contract.states import EXPERIMENT, ExperimentState, terminal
from shoal_contract.subjects import all_of
from shoal_gateway.core.log_filter import LogFilter, PatternError
from shoal_gateway.shell.answers.trials import Log
from shoal_gateway.shell.auth import Standing
from shoal_gateway.shell.log_reader import Item, LogReader, all_read, close
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown, wrong
from shoal_gateway.shell.routes.experiments import experiment
from shoal_gateway.shell.routes.trials import trial as trial_of
from shoal_gateway.shell.sse import EventStream, ending

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

LEAST_WAIT, MOST_WAIT = 0.05, 1.0
"""Seconds for which a follower waits for what comes next, before it asks whether that was all."""


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
        raise wrong("regex", str(error)) from error


@router.get(
    "/logs",
    response_model=dict[str, Any],
    responses={200: {"model": Log, "content": {"text/event-stream": {}}}},
)
async def logs(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    standing: Annotated[Standing, Depends(Standing)],
    wanted: Annotated[LogFilter, Depends(log_filter)],
    trial: str | None = None,
    after: Annotated[int | None, Query(ge=0)] = None,
    tail: Annotated[int | None, Query(ge=1, le=5000)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    follow: bool = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Pieces of the log, oldest first. To go on, ask again with `after` set to `next`; `complete`
    says whether the log's end was reached. `tail`: the last so many lines instead; `complete` is
    false if there may be more of them further back than could be read in time.

    `level` takes graver ones in, and `search` and `regex` are looked for line by line. With
    `follow`, the answer is a stream of server-sent events that goes on until the experiment has
    ended, or `trial` has; `Last-Event-ID` resumes it.
    """
    await _ended(use, experiment_id, trial)
    keys = (experiment_id,) if trial is None else (experiment_id, trial)
    log = LogReader(use.bus, all_of("log.written", *keys), wanted, use.settings.read_timeout)
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after, tail = int(last_event_id), None
    first: list[Item] = []
    complete = True
    if tail is not None:
        first, after, complete = await log.tail(tail)
    if follow:
        messages = _messages(use, standing, experiment_id, trial, log, first, after or 0)
        return EventStream(messages, use.settings.stall_timeout, use.readers)
    if tail is not None:
        return JSONResponse({"items": first, "next": after, "complete": complete})
    items, last, complete = await log.page(after or 0, limit)
    return JSONResponse({"items": items, "next": last, "complete": complete})


async def _messages(
    use: Parts,
    standing: Standing,
    experiment_id: str,
    trial_id: str | None,
    log: LogReader,
    first: list[Item],
    after: int,
) -> AsyncIterator[str]:
    """Items as server-sent events, until what writes them has ended and all was told. When there is
    nothing to tell, be it that nothing is written or that nothing of it is wanted, a comment keeps
    the line open and says up to where it was read. Raises ProblemError when the reader is to
    connect again, or may read no more."""
    for item in first:
        yield _message(item)
    yield f"id: {after}\n: the log\n\n"
    consumer = log.consumer(after)
    loop = asyncio.get_running_loop()
    told = loop.time()
    try:
        while not use.stopping.is_set():
            before, due = consumer.last, told + use.settings.keep_alive
            wait = min(MOST_WAIT, max(LEAST_WAIT, due - loop.time()))
            items = await log.fetch(consumer, wait)
            if not await use.directory.sees(await standing(), experiment_id):
                raise unknown("experiment", experiment_id)
            for item in items:
                yield _message(item)
                told = loop.time()
            silent = consumer.last == before
            if silent and await _ended(use, experiment_id, trial_id) and await all_read(consumer):
                yield "event: end\ndata: {}\n\n"
                return
            if loop.time() >= told + use.settings.keep_alive:
                yield f"id: {max(after, consumer.last)}\n: still here\n\n"
                told = loop.time()
        raise ending()
    finally:
        await close(consumer)


async def _ended(use: Parts, experiment_id: str, trial_id: str | None) -> bool:
    """Whether nothing more is written; a problem if there is no such experiment or trial."""
    row = await experiment(experiment_id, use)
    if trial_id is not None and (await trial_of(experiment_id, trial_id, use))["ended_at"]:
        return True
    return terminal(EXPERIMENT, ExperimentState(row["state"]))


def _message(item: Item) -> str:
    text = json.dumps(item, separators=(",", ":"))
    return f"id: {item['id']}\nevent: log\ndata: {text}\n\n"
