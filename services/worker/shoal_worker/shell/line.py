"""The worker's end of the line to its ranks (see `shoal_contract.line`)."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from pydantic import BaseModel

from shoal_bus.bus import Bus
from shoal_bus.host import Host
from shoal_contract import line
from shoal_contract.events import CheckpointSaved, RunOrder, TrainingReported, ValidationReported
from shoal_contract.ids import event_id
from shoal_worker.core.state import Run, State

WORD_TIMEOUT = 60.0
"""Seconds that a rank at its target waits for the searcher; then it trains on."""


@dataclass(slots=True)
class Line:
    """Answers the ranks of this machine."""

    bus: Bus
    host: Host[State]
    path: str
    """Of the Unix socket."""
    _tokens: dict[str, RunOrder] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: grpc.aio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        self._server = grpc.aio.server()
        handlers = {
            "Hello": _handler(self._hello, line.Hello),
            "Report": _handler(self._report, line.Report),
            "Saved": _handler(self._saved, line.Saved),
            "Ask": _handler(self._ask, line.Ask),
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

    async def _hello(self, hello: line.Hello, context: Any) -> line.Welcome:
        order = await self._order(hello.token, context)
        task = order.task
        return line.Welcome(
            task=task,
            allocation_id=order.allocation_id,
            world_size=order.world_size,
            checkpoint_url=f"{task.storage_url.rstrip('/')}/{task.trial_id}/a{task.attempt}",
        )

    async def _report(self, report: line.Report, context: Any) -> line.Done:
        order = await self._order(report.token, context)
        task = order.task
        common: dict[str, Any] = {
            "experiment_id": task.experiment_id,
            "trial_id": task.trial_id,
            "allocation_id": order.allocation_id,
            "attempt": task.attempt,
            "step": report.step,
            "metrics": report.metrics,
            "at": time.time(),
        }
        if task.metric in report.metrics:
            at = report.step
            if task.time_metric != "step":
                if task.time_metric not in report.metrics:
                    await context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT,
                        f"the report has {task.metric!r} but not {task.time_metric!r}, which is"
                        " the experiment's searcher.time_metric",
                    )
                at = int(report.metrics[task.time_metric])
            id = event_id("validation", order.allocation_id, report.step)
            await self.bus.publish(ValidationReported(**common, time=at), id=id)
        else:
            names = ",".join(sorted(report.metrics))
            id = event_id(f"training:{names}", order.allocation_id, report.step)
            await self.bus.publish(TrainingReported(**common), id=id)
        return line.Done()

    async def _saved(self, saved: line.Saved, context: Any) -> line.Done:
        order = await self._order(saved.token, context)
        event = CheckpointSaved(
            experiment_id=order.task.experiment_id,
            trial_id=order.task.trial_id,
            allocation_id=order.allocation_id,
            checkpoint=saved.checkpoint,
        )
        id = event_id("checkpoint", order.allocation_id, saved.checkpoint.step)
        await self.bus.publish(event, id=id)
        return line.Done()

    async def _ask(self, ask: line.Ask, context: Any) -> line.Word:
        order = await self._order(ask.token, context)
        end = asyncio.get_running_loop().time() + WORD_TIMEOUT
        while True:
            run: Run | None = self.host.state.runs.get(order.run_id)
            if run is None:
                return line.Word(stop=True, target=order.task.target)
            if run.stop_reason is not None:
                return line.Word(stop=True, reason=run.stop_reason, target=run.target)
            left = end - asyncio.get_running_loop().time()
            if ask.time is None or ask.time < run.target or left <= 0:
                return line.Word(stop=False, target=run.target)
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue


def _handler(method: Callable[[Any, Any], Awaitable[BaseModel]], model: type[BaseModel]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method,
        request_deserializer=model.model_validate_json,
        response_serializer=lambda answer: answer.model_dump_json().encode(),
    )
