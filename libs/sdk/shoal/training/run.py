"""A run, as one of its ranks sees it."""

import contextlib
import os
import signal
import sys
from typing import Any

from shoal.training.line import Line
from shoal_contract.events import Checkpoint
from shoal_contract.line import SOCKET_VARIABLE, TOKEN_VARIABLE, Welcome


class Run:
    """What `shoal.init()` returns. Every rank has one; rank 0 speaks for all."""

    def __init__(
        self,
        hyperparameters: dict[str, Any],
        *,
        target: int,
        rank: int = 0,
        world_size: int = 1,
        local_rank: int = 0,
        line: Line | None = None,
        welcome: Welcome | None = None,
    ) -> None:
        self.hyperparameters = hyperparameters
        """The trial's configuration."""
        self.rank, self.world_size, self.local_rank = rank, world_size, local_rank
        self.target = target
        """How far to train, in units of the experiment's time metric, as far as is known now."""
        self._line, self._welcome = line, welcome
        self._time: int | None = None
        self.latest: Checkpoint | None = welcome.task.checkpoint if welcome else None
        """The checkpoint to go on from; None: from the start."""
        self.seed: int = welcome.task.seed if welcome else 0
        self.trial_id: str = welcome.task.trial_id if welcome else "local"

    @classmethod
    def join(
        cls, hyperparameters: dict[str, Any], max_time: int | None, distributed: bool
    ) -> "Run":
        """See `shoal.init`."""
        from shoal.training import ranks

        rank = int(os.environ.get("RANK", "0"))
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        where: dict[str, Any] = {"rank": rank, "world_size": world_size, "local_rank": local_rank}
        socket = os.environ.get(SOCKET_VARIABLE)
        if socket is None:
            run = cls(hyperparameters, target=max_time or 1, **where)
        else:
            _ignore_sigterm()
            line = Line(socket, os.environ[TOKEN_VARIABLE])
            welcome = line.hello(rank)
            task = welcome.task
            run = cls(task.hyperparameters, target=task.target, line=line, welcome=welcome, **where)
        if distributed and world_size > 1:
            ranks.meet()
        return run

    def report(self, *, step: int, **metrics: Any) -> None:
        """Report numbers of a step (anything that `float` takes). Rank 0's count; the others'
        calls do nothing. Returns when the platform has them safe.

        A report that carries the experiment's metric is a validation result: the search decides
        on it. Each step counts once.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        if self._welcome is None:
            self._time = step
        else:
            task = self._welcome.task
            if task.metric in numbers:
                at = step if task.time_metric == "step" else numbers.get(task.time_metric)
                self._time = None if at is None else int(at)
        if self.rank != 0:
            return
        if self._line is None:
            shown = "  ".join(f"{name}={value:.6g}" for name, value in numbers.items())
            print(f"step {step}  {shown}", file=sys.stderr)
        else:
            self._line.report(step, numbers)

    def checkpoint(self, *, step: int, **parts: Any) -> None:
        """Save `parts` (anything with a `state_dict`, tensors, or plain values) with every rank's
        random state. Every rank must call it; rank 0 writes. Returns when it is complete.

        Stand-alone, nothing is saved.
        """
        from shoal.training import checkpoints, ranks

        if self._welcome is None or self._line is None:
            return
        states = ranks.gather(checkpoints.random_state())
        if self.rank == 0:
            content = {
                name: part.state_dict() if hasattr(part, "state_dict") else part
                for name, part in parts.items()
            }
            found = checkpoints.save(
                f"{self._welcome.checkpoint_url}/step-{step}",
                {**content, "_random": states},
                step=step,
                attempt=self._welcome.task.attempt,
            )
            self._line.saved(found)
            self.latest = found

    def restore(self, **parts: Any) -> int:
        """Load the latest checkpoint into `parts` (each with `load_state_dict`), and this rank's
        random state; returns the step that it was taken after: 0 if there is none.

        Raises CheckpointError if a file is damaged, KeyError if a part was not saved.
        """
        from shoal.training import checkpoints

        if self.latest is None:
            return 0
        content = checkpoints.load(self.latest.url)
        for name, part in parts.items():
            part.load_state_dict(content[name])
        states = content["_random"]
        if self.rank < len(states):
            checkpoints.restore_random_state(states[self.rank])
        return self.latest.step

    def should_stop(self) -> bool:
        """Whether to leave the training loop now. Every rank must call it, at the end of a step,
        and all get the same answer. At the target it waits for the searcher's word."""
        from shoal.training import ranks

        if self._line is None:
            return self._time is not None and self._time >= self.target
        word = self._line.ask(self.rank, self._time if self.rank == 0 else None)
        self.target = word.target
        return ranks.anyone(word.stop)


def _ignore_sigterm() -> None:
    """The worker says when to stop. What this process starts can be ended by SIGTERM as ever."""
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, lambda *_: None)
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
