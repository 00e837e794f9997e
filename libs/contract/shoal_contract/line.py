"""The line between a training process and the worker on its machine: gRPC over a Unix socket.

Messages are these models as JSON (gRPC's serialisers are ours to choose), so both ends share one
definition and nothing is generated. Each rank knows the socket from `SHOAL_SOCKET` and itself
from `SHOAL_RUN_TOKEN`, which is of its run alone.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from shoal_contract.base import Frozen, Int64
from shoal_contract.events.trial import Checkpoint, Task
from shoal_contract.states import StopReason

SERVICE = "shoal.v1.Line"
"""Methods: Hello -> Welcome, Report -> Done, Saved -> Done, Ask -> Word; and Watch -> a stream of
Words, one at once and one at each change."""
SOCKET_VARIABLE = "SHOAL_SOCKET"
TOKEN_VARIABLE = "SHOAL_RUN_TOKEN"  # noqa: S105 - a variable's name, not a secret
ERROR_VARIABLE = "TORCHELASTIC_ERROR_FILE"
"""Names the file for the exception that leaves a rank's script (see `shoal.training.errors`)."""
LARGEST_MESSAGE = 4 * 2**20
"""Bytes of a message, on both ends."""
LARGEST_REPORT = 512 * 2**10
"""Bytes of one report, as JSON: it becomes an event, and NATS takes 1 MiB unless told otherwise."""

Group = Literal["training", "validation", "system"]
"""What numbers are about; `system`: the machine's and the platform's own."""


class Hello(Frozen):
    """A rank introduces itself."""

    token: str
    rank: int


class Welcome(Frozen):
    """What the rank is to do."""

    task: Task
    allocation_id: str
    world_size: int
    checkpoint_url: str
    """Folder under which this attempt may write checkpoints, one sub-folder a step."""


class Numbers(Frozen):
    """Numbers of one step. What carries the experiment's metric is a validation result."""

    step: Int64
    metrics: dict[str, float]
    group: Group = "training"
    at: float = 0.0
    """Unix seconds when they were reported."""
    sequence: int = 0
    """Number of the report in its attempt, from 1."""
    samples: int | None = None
    """That all ranks together had trained on; None: not known."""

    @staticmethod
    def at_most(metrics: Mapping[str, float]) -> int:
        """Bytes of a report of these, as JSON, at most: a guess that costs little."""
        return 200 + 32 * len(metrics) + 6 * sum(map(len, metrics))


class Report(Frozen):
    """Numbers from rank 0, in the order in which they were reported. May come again."""

    token: str
    items: list[Numbers] = Field(max_length=10_000)


class Saved(Frozen):
    """A complete checkpoint, from rank 0. May come again."""

    token: str
    checkpoint: Checkpoint


class Done(Frozen):
    """The worker has it, and it is in the stream."""


class Ask(Frozen):
    """Should this rank stop? At the target, rank 0's question waits for the searcher's word."""

    token: str
    rank: int
    time: int | None
    """How far rank 0 has reported, in units of the time metric; None: not reported yet."""


class Watch(Frozen):
    """A rank wants to know at once when it is told to stop, or to train on."""

    token: str
    rank: int


class Word(Frozen):
    """The answer."""

    stop: bool
    reason: StopReason | None = None
    target: int
