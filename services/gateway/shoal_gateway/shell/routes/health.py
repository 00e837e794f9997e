"""`/livez`, `/readyz`, `/metrics`: for whoever watches over the gateway."""

import asyncio
from importlib.metadata import version
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from redis.exceptions import RedisError

from shoal_bus.bookmark import bookmark
from shoal_contract.subjects import DEAD_LETTERS, STREAMS
from shoal_gateway.core import keys
from shoal_gateway.core.belongings import POINT_STREAMS
from shoal_gateway.shell import feed
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.health import Alive, Ready
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import away
from shoal_gateway.shell.recent import Recent

router = APIRouter()


@router.get("/livez", responses=told(Alive))
async def livez() -> dict[str, str]:
    """The process answers, and says which version it is."""
    return {"status": "alive", "version": version("shoal-gateway")}


@router.get("/readyz", responses=told(Ready))
async def readyz(use: Annotated[Parts, Depends(parts)]) -> dict[str, str]:
    """NATS and Redis answer, and reads show what has happened. Otherwise 503."""
    missing = []
    if not use.bus.connected:
        missing.append("NATS does not answer")
    try:
        await cast("Any", use.store.redis.ping())
    except RedisError:
        missing.append("Redis does not answer")
    if not use.projector.ready:
        missing.append("the read models are being filled")
    if missing:
        raise away("; ".join(missing) + ".")
    return {"status": "ready"}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(use: Annotated[Parts, Depends(parts)]) -> PlainTextResponse:
    """Numbers in the text format of Prometheus."""
    extents = await asyncio.gather(*(use.bus.extent(s) for s in STREAMS))
    lines = [
        "# HELP shoal_stream_messages Messages that a stream holds.",
        "# TYPE shoal_stream_messages gauge",
    ]
    last = {}
    for stream, (messages, sequence) in zip(STREAMS, extents, strict=True):
        lines.append(f'shoal_stream_messages{{stream="{stream.name}"}} {messages}')
        last[stream.name] = sequence
    lines += [
        "# HELP shoal_stream_last_sequence Events that were ever written to a stream.",
        "# TYPE shoal_stream_last_sequence counter",
        *(f'shoal_stream_last_sequence{{stream="{n}"}} {value}' for n, value in last.items()),
        "# HELP shoal_dead_letters Messages that nobody could use.",
        "# TYPE shoal_dead_letters counter",
        f"shoal_dead_letters {last[DEAD_LETTERS.name]}",
        "# HELP shoal_projector_lag Events that reads do not show yet.",
        "# TYPE shoal_projector_lag gauge",
    ]
    for name in use.projector.caught_up:
        lag = max(0, last[name] - await use.store.applied(name))
        lines.append(f'shoal_projector_lag{{stream="{name}"}} {lag}')
    failures = (await use.store.row(keys.SAMPLERS)).get("failures", 0)
    lines += [
        "# HELP shoal_sampler_failures Questions of searches that a sampler failed to answer.",
        "# TYPE shoal_sampler_failures counter",
        f"shoal_sampler_failures {int(failures)}",
    ]
    if use.settings.feed_url:
        lines += [
            "# HELP shoal_feed_lag Events that the feed of NATS may not have yet.",
            "# TYPE shoal_feed_lag gauge",
        ]
        for stream in feed.STREAMS:
            lag = max(0, last[stream.name] - await bookmark(use.bus, feed.NAME, stream))
            lines.append(f'shoal_feed_lag{{stream="{stream.name}"}} {lag}')
    lines += [
        "# HELP shoal_metric_points_bytes Metric points in Redis, which are in no file yet.",
        "# TYPE shoal_metric_points_bytes gauge",
    ]
    lines += [
        "# HELP shoal_readers_dropped Readers of events who took nothing for too long.",
        "# TYPE shoal_readers_dropped counter",
        f"shoal_readers_dropped {use.readers.dropped}",
    ]
    recent = Recent(use.store)
    for stream in POINT_STREAMS:
        sizes, _ = await recent.held(stream)
        lines.append(f'shoal_metric_points_bytes{{stream="{stream.name}"}} {sum(sizes.values())}')
    lines += [
        "# HELP shoal_reads_complete_seconds Unix time up to which reads show all that happened.",
        "# TYPE shoal_reads_complete_seconds gauge",
        f"shoal_reads_complete_seconds {use.projector.complete_at:.3f}",
        *use.measures.lines(),
    ]
    text = "\n".join(lines) + "\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
