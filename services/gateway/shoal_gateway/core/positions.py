"""How far a reader of all streams has come, as one short text: the id of a server-sent event."""

import re
from collections.abc import Mapping

from shoal_contract.events import REGISTER
from shoal_contract.subjects import (
    ACCESS,
    EXPERIMENTS,
    INSTANCES,
    LOGS,
    POOL_REQUESTS,
    PREFIX,
    REFUSED,
    RUNS,
    SCHEDULE,
    SEARCH,
    SECRETS,
    TRACKED,
    TRACKING,
    TRAINING,
    VALIDATION,
    Stream,
    all_of,
    stream_of,
)

EVENT_STREAMS = (
    EXPERIMENTS, SEARCH, SCHEDULE, INSTANCES, RUNS, VALIDATION, TRAINING, LOGS, REFUSED,
)  # fmt: skip
"""Those that subscribers are shown."""
STREAMS = (*EVENT_STREAMS, POOL_REQUESTS, TRACKING, TRACKED, ACCESS, SECRETS)
"""In this order a position lists the streams; new ones are added at the end."""


def encode(positions: Mapping[str, int]) -> str:
    """The sequences of the last events seen, stream by stream, e.g. `3-17-0-0-2-0-0-0-0`. Of the
    streams that subscribers are not shown, as many as there is something to say of."""
    numbers = [positions.get(stream.name, 0) for stream in STREAMS]
    while len(numbers) > len(EVENT_STREAMS) and numbers[-1] == 0:
        numbers.pop()
    return "-".join(str(number) for number in numbers)


def decode(text: str) -> dict[str, int] | None:
    """The inverse of `encode`; None if the text is none of its results."""
    if not re.fullmatch(r"\d{1,19}(-\d{1,19}){0,15}", text):
        return None
    numbers = [int(part) for part in text.split("-")]
    numbers += [0] * (len(STREAMS) - len(numbers))
    return {s.name: n for s, n in zip(STREAMS, numbers, strict=False)}


def filters(
    stream: Stream, experiment_id: str | None, prefixes: tuple[str, ...]
) -> list[str] | None:
    """The subjects of a stream that a reader wants. Empty: all of them; None: none of them.

    `prefixes` are beginnings of event types, with or without the contract's `shoal.v1.`.
    """
    if experiment_id is None and not prefixes:
        return []
    wanted = tuple(p.removeprefix(PREFIX + ".") for p in prefixes)
    found = []
    for name, cls in REGISTER.items():
        if stream_of(name) != stream or (wanted and not name.startswith(wanted)):
            continue
        if experiment_id is None:
            found.append(all_of(name))
        elif cls.key[0] == "experiment_id":
            found.append(all_of(name, experiment_id))
    return found or None
