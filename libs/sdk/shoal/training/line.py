"""A rank's end of the line to its worker (see `shoal_contract.line`)."""

from typing import Any, TypeVar

from pydantic import BaseModel

from shoal_contract import line
from shoal_contract.events import Checkpoint

A = TypeVar("A", bound=BaseModel)


class Line:
    """Calls the worker over its Unix socket.

    A call has no deadline: the worker answers when the streams are there again, however long that
    takes, and if the worker dies, so does this rank.
    """

    def __init__(self, socket: str, token: str) -> None:
        import grpc

        self.token = token
        self._channel: Any = grpc.insecure_channel(f"unix:{socket}")

    def hello(self, rank: int) -> line.Welcome:
        """What this rank is to do."""
        return self._call("Hello", line.Hello(token=self.token, rank=rank), line.Welcome)

    def report(self, step: int, metrics: dict[str, float]) -> None:
        """Numbers of a step; returns when they are in the stream."""
        self._call("Report", line.Report(token=self.token, step=step, metrics=metrics), line.Done)

    def saved(self, checkpoint: Checkpoint) -> None:
        """A checkpoint is complete; returns when that is in the stream."""
        self._call("Saved", line.Saved(token=self.token, checkpoint=checkpoint), line.Done)

    def ask(self, rank: int, time: int | None) -> line.Word:
        """Should this rank stop?"""
        return self._call("Ask", line.Ask(token=self.token, rank=rank, time=time), line.Word)

    def _call(self, method: str, request: BaseModel, answer: type[A]) -> A:
        import grpc

        call = self._channel.unary_unary(
            f"/{line.SERVICE}/{method}",
            request_serializer=lambda m: m.model_dump_json().encode(),
            response_deserializer=answer.model_validate_json,
        )
        try:
            result: A = call(request)
        except grpc.RpcError as error:
            raise RuntimeError(f"the worker answered {method} with: {error.details()}") from error
        return result
