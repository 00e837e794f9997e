"""Appending to a journal: all or nothing, and only by the one who knows its end.

A batch is NATS's atomic batch publish (ADR-50,
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md); its first message
names the last sequence that the journal must have. Where several write to one journal, each for a
shard of its own, it is the shard's mark (`search.appended`) that comes first and is fenced.
"""

import json
from collections.abc import Sequence

import nats.errors
from nats.js import api
from nats.js.errors import APIError

from shoal_bus.bus import Bus
from shoal_contract.envelope import Envelope
from shoal_contract.subjects import Stream, subject_of

ANSWER = 3.0
"""Seconds to wait for the server; then it is not known what it did."""
_LAST = api.Header.EXPECTED_LAST_SEQUENCE


class FencedError(RuntimeError):
    """The journal's end is not where it was thought to be: somebody else wrote, or an
    acknowledgement was lost. What is held in memory can no longer be trusted."""


async def append(
    bus: Bus,
    stream: Stream,
    envelopes: Sequence[Envelope],
    expected: int,
    mark: Envelope | None = None,
) -> int:
    """Append all of `envelopes` after sequence `expected`; returns the new last sequence.

    With a `mark`, it is appended before them, and `expected` is the sequence of the last message
    on the mark's subject. Raises FencedError if that is another one, or nobody knows.
    """
    if not envelopes:
        return expected
    try:
        if mark is not None:
            return await _batch(bus, stream, [mark, *envelopes], expected, by_subject=True)
        if len(envelopes) == 1:
            return await _one(bus, stream, envelopes[0], expected)
        return await _batch(bus, stream, envelopes, expected)
    except (nats.errors.Error, OSError) as error:
        raise FencedError(f"appending to {stream.name} after {expected}: {error!r}") from error


async def _one(bus: Bus, stream: Stream, envelope: Envelope, expected: int) -> int:
    headers = envelope.headers() | {str(_LAST.value): str(expected)}
    ack = await bus.js.publish(
        subject_of(envelope.event),
        envelope.body(),
        timeout=ANSWER,
        stream=stream.name,
        headers=dict(headers),
    )
    if ack.duplicate:
        raise FencedError(f"{envelope.id} is in {stream.name} already")
    return ack.seq


async def _batch(
    bus: Bus,
    stream: Stream,
    envelopes: Sequence[Envelope],
    expected: int,
    *,
    by_subject: bool = False,
) -> int:
    fence = api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE if by_subject else _LAST
    batch_id = bus.nc.new_inbox().rpartition(".")[2]
    for number, envelope in enumerate(envelopes, 1):
        headers = envelope.headers() | {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(number),
            "Nats-Expected-Stream": stream.name,
        }
        if number == 1:
            headers[str(fence.value)] = str(expected)
        subject, body = subject_of(envelope.event), envelope.body()
        if number == len(envelopes):
            headers["Nats-Batch-Commit"] = "1"
            reply = await bus.nc.request(subject, body, timeout=ANSWER, headers=headers)
            return _sequence(json.loads(reply.data), stream)
        if number == 1:
            reply = await bus.nc.request(subject, body, timeout=ANSWER, headers=headers)
            if reply.data:
                _sequence(json.loads(reply.data), stream)
        else:
            await bus.nc.publish(subject, body, headers=headers)
    raise AssertionError("a batch has a last message")


def _sequence(answer: dict[str, object], stream: Stream) -> int:
    error = answer.get("error")
    if isinstance(error, dict):
        raise APIError.from_error(error)
    return int(str(answer["seq"]))
