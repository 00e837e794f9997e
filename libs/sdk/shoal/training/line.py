"""A rank's end of the line to its worker (see `shoal_contract.line`)."""

import os
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

from shoal.training.outbox import ClosedError, RefusedError
from shoal_contract import line
from shoal_contract.events import Checkpoint

A = TypeVar("A", bound=BaseModel)

MEETING = 60.0
"""Seconds that a rank waits for its worker at the start."""
DEADLINE = 10.0
"""Seconds for one message; the outbox sends it again."""
WAITING = 75.0
"""Seconds for the searcher's word at the target: more than the worker itself waits for it."""


class Line:
    """Calls the worker over its Unix socket, each call within a time limit.

    Calls raise OSError when no answer came, ClosedError when the worker says that the run is over,
    and RefusedError when it will never take this message.
    """

    def __init__(self, socket: str, token: str) -> None:
        # Workers of a DataLoader are forked, and do not call: gRPC need not be ready for it, nor
        # write a line at each fork that it is not.
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        import grpc
        import grpc.experimental

        self.token = token
        self._channel: Any = grpc.insecure_channel(
            f"unix:{socket}",
            [
                ("grpc.max_send_message_length", line.LARGEST_MESSAGE),
                # Who watches waits in its own thread, not by looking every tenth of a second.
                (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
            ],
        )
        self._calls: dict[str, Any] = {}

    def hello(self, rank: int) -> line.Welcome:
        """What this rank is to do."""
        return self._call("Hello", line.Hello(token=self.token, rank=rank), line.Welcome, MEETING)

    def report(self, items: list[line.Numbers]) -> None:
        """Numbers of steps; returns when they are in the stream."""
        self._call("Report", line.Report(token=self.token, items=items), line.Done, DEADLINE)

    def saved(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is complete; returns when that is in the stream."""
        request = line.Saved(token=self.token, checkpoint=checkpoint)
        self._call("Saved", request, line.Done, DEADLINE)

    def ask(self, rank: int, time: int | None) -> line.Word:
        """Should this rank stop?"""
        request = line.Ask(token=self.token, rank=rank, time=time)
        return self._call("Ask", request, line.Word, WAITING)

    def watch(self, rank: int) -> Iterator[line.Word]:
        """The worker's word now, and each time it changes, until the connection breaks."""
        call = self._channel.unary_stream(
            f"/{line.SERVICE}/Watch",
            request_serializer=_bytes,
            response_deserializer=line.Word.model_validate_json,
        )
        import grpc

        try:
            yield from call(line.Watch(token=self.token, rank=rank), wait_for_ready=True)
        except grpc.RpcError as error:
            raise _meaning("Watch", error) from error

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _call(self, method: str, request: BaseModel, answer: type[A], seconds: float) -> A:
        import grpc

        if method not in self._calls:
            self._calls[method] = self._channel.unary_unary(
                f"/{line.SERVICE}/{method}",
                request_serializer=_bytes,
                response_deserializer=answer.model_validate_json,
            )
        try:
            result: A = self._calls[method](request, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            raise _meaning(method, error) from error
        return result


def _bytes(message: BaseModel) -> bytes:
    return message.model_dump_json().encode()


def _meaning(method: str, error: Any) -> Exception:
    import grpc

    text = f"the worker answered {method} with: {error.details()}"
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return ClosedError(text)
    if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return RefusedError(text)
    return OSError(text)
