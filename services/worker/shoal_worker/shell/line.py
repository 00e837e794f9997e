"""The worker's end of the line to its ranks (see `shoal_contract.line`)."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from pydantic import BaseModel, ValidationError

from shoal_bus.bus import Bus, TooLargeError
from shoal_bus.host import Host
from shoal_contract import line
from shoal_contract.events import (
    CheckpointSaved,
    Earlier,
    RunOrder,
    TrainingReported,
    ValidationReported,
)
from shoal_contract.ids import event_id
from shoal_worker.core.parcels import parcels
from shoal_worker.core.state import Run, State
from shoal_worker.shell.keeper import Keeper
from shoal_worker.shell.records import Records

WORD_TIMEOUT = 60.0
"""Seconds that a rank at its target waits for the searcher; then it trains on."""


@dataclass(slots=True)
class Line:
    """Answers the ranks of this machine."""

    bus: Bus
    host: Host[State]
    path: str
    """Of the Unix socket."""
    records: Records
    """Hears what is reported."""
    keeper: Keeper
    """Hears of each checkpoint."""
    last: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each run: step and time of the last validation result that is in its stream."""
    _listening: dict[str, set[int]] = field(default_factory=dict)
    _tokens: dict[str, RunOrder] = field(default_factory=dict)
    _at_work: dict[str, int] = field(default_factory=dict)
    """Of each run: messages that are being published."""
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _over: set[str] = field(default_factory=set)
    """Runs whose rank 0 has ended: what still lies in the socket is not taken any more."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: grpc.aio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        largest = [("grpc.max_receive_message_length", line.LARGEST_MESSAGE)]
        self._server = grpc.aio.server(options=largest)
        handlers = {
            "Hello": _handler(self._hello, line.Hello),
            "Report": _handler(self._report, line.Report),
            "Saved": _handler(self._saved, line.Saved),
            "Ask": _handler(self._ask, line.Ask),
            "Watch": grpc.unary_stream_rpc_method_handler(
                self._watch,
                request_deserializer=line.Watch.model_validate_json,
                response_serializer=_bytes,
            ),
        }
        generic = grpc.method_handlers_generic_handler(line.SERVICE, handlers)
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(f"unix:{self.path}")
        await self._server.start()

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.stop(grace=0.5)

    def admit(self, order: RunOrder) -> str:
        """A new token for a run's ranks."""
        token = secrets.token_urlsafe(16)
        self._tokens[token] = order
        return token

    def dismiss(self, run_id: str) -> None:
        """A run is over: its token means nothing any more."""
        self._tokens = {t: o for t, o in self._tokens.items() if o.run_id != run_id}
        self._listening.pop(run_id, None)
        self._over.discard(run_id)
        self.last.pop(run_id, None)

    def listening(self, run_id: str) -> Collection[int]:
        """The ranks of a run that said Hello: they hear the worker's word."""
        return self._listening.get(run_id, ())

    async def settled(self, run_id: str) -> tuple[int, int] | None:
        """Rank 0 has ended: take nothing more from it, and wait until what it said is in its
        streams. Returns step and time of its last validation result."""
        self._over.add(run_id)
        while self._at_work.get(run_id):
            await self._quiet.wait()
        return self.last.get(run_id)

    @contextlib.contextmanager
    def _busy(self, order: RunOrder) -> Iterator[None]:
        run_id = order.run_id
        self._at_work[run_id] = self._at_work.get(run_id, 0) + 1
        try:
            yield
        finally:
            self._at_work[run_id] -= 1
            if not self._at_work[run_id]:
                del self._at_work[run_id]
                self._quiet.set()
                self._quiet = asyncio.Event()

    def wake(self) -> None:
        """Something was decided: whoever waits for a word should look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _order(self, token: str, context: Any) -> RunOrder:
        order = self._tokens.get(token)
        if order is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this run is over or unknown")
            raise PermissionError(token)
        return order

    async def _teller(self, token: str, context: Any) -> RunOrder:
        order = await self._order(token, context)
        if order.run_id in self._over:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this run's rank 0 has ended")
        return order

    async def _hello(self, hello: line.Hello, context: Any) -> line.Welcome:
        order = await self._order(hello.token, context)
        self._listening.setdefault(order.run_id, set()).add(hello.rank)
        task = order.task
        return line.Welcome(
            task=task,
            allocation_id=order.allocation_id,
            world_size=order.world_size,
            checkpoint_url=f"{task.storage_url.rstrip('/')}/{task.trial_id}/a{task.attempt}",
        )

    async def _report(self, report: line.Report, context: Any) -> line.Done:
        order = await self._teller(report.token, context)
        with self._busy(order):
            training = []
            for item in report.items:
                if order.task.metric in item.metrics:
                    await self._validation(order, item)
                else:
                    training.append(item)
                self.records.add(order, item)
            await asyncio.gather(*(self._training(order, some) for some in parcels(training)))
        return line.Done()

    async def _validation(self, order: RunOrder, item: line.Numbers) -> None:
        metric = order.task.time_metric
        place = item.step if metric == "step" else int(item.metrics.get(metric, item.step))
        event = ValidationReported(**_common(order, item), time=place)
        # A step may come again in later units of the time metric; the same of both counts once.
        id = event_id("validation", f"{order.allocation_id}/{place}", item.step)
        await self.bus.publish(event, id=id)
        self.last[order.run_id] = (item.step, place)

    async def _training(self, order: RunOrder, items: Sequence[line.Numbers]) -> None:
        *before, item = items
        earlier = [Earlier(**_measured(one)) for one in before]
        event = TrainingReported(**_common(order, item), group=item.group, earlier=earlier)
        # What a script says that was started again in one attempt has the same numbers anew.
        said = "/".join([order.allocation_id, *(one.model_dump_json() for one in items)])
        id = event_id("training", said, item.sequence)
        await self.bus.publish(event, id=id)

    async def _saved(self, saved: line.Saved, context: Any) -> line.Done:
        order = await self._teller(saved.token, context)
        event = CheckpointSaved(
            experiment_id=order.task.experiment_id,
            trial_id=order.task.trial_id,
            allocation_id=order.allocation_id,
            checkpoint=saved.checkpoint,
        )
        id = event_id("checkpoint", order.allocation_id, saved.checkpoint.step)
        with self._busy(order):
            await self.bus.publish(event, id=id)
        self.keeper.saved(order.task.experiment_id)
        return line.Done()

    async def _ask(self, ask: line.Ask, context: Any) -> line.Word:
        order = await self._order(ask.token, context)
        end = asyncio.get_running_loop().time() + WORD_TIMEOUT
        while True:
            changed = self._changed
            word = self._word(order)
            left = end - asyncio.get_running_loop().time()
            if word.stop or ask.time is None or ask.time < word.target or left <= 0:
                return word
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)

    async def _watch(self, watch: line.Watch, context: Any) -> AsyncIterator[line.Word]:
        order = await self._order(watch.token, context)
        said = None
        while True:
            changed = self._changed
            if (word := self._word(order)) != said:
                said = word
                yield word
            await changed.wait()

    def _word(self, order: RunOrder) -> line.Word:
        run: Run | None = self.host.state.runs.get(order.run_id)
        if run is None:
            return line.Word(stop=True, target=order.task.target)
        told = run.stop_reason is not None
        return line.Word(stop=told, reason=run.stop_reason, target=run.target)


def _common(order: RunOrder, item: line.Numbers) -> dict[str, Any]:
    return {
        "experiment_id": order.task.experiment_id,
        "trial_id": order.task.trial_id,
        "allocation_id": order.allocation_id,
        "attempt": order.task.attempt,
        **_measured(item),
    }


def _measured(item: line.Numbers) -> dict[str, Any]:
    return {
        "step": item.step,
        "metrics": item.metrics,
        "at": item.at or time.time(),
        "sequence": item.sequence,
    }


def _bytes(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()


def _handler(method: Callable[[Any, Any], Awaitable[BaseModel]], model: type[BaseModel]) -> Any:
    async def answer(data: bytes, context: Any) -> BaseModel:
        try:
            return await method(model.model_validate_json(data), context)
        except (ValidationError, TooLargeError) as error:  # it never goes, however often it comes
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise

    return grpc.unary_unary_rpc_method_handler(answer, response_serializer=_bytes)
