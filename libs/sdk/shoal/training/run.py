"""A run, as one of its ranks sees it."""

import atexit
import contextlib
import itertools
import operator
import os
import signal
import sys
import time
import traceback
from typing import Any

from shoal.training.data import Loader
from shoal.training.line import WAITING, Line
from shoal.training.notice import Notice
from shoal.training.outbox import ClosedError, Outbox, Said, numbers
from shoal.training.pace import Pace
from shoal_contract.events import Checkpoint
from shoal_contract.line import (
    LARGEST_REPORT,
    SOCKET_VARIABLE,
    TOKEN_VARIABLE,
    Group,
    Numbers,
    Welcome,
)
from shoal_contract.states import StopReason

LEAVING = 600.0
"""Seconds that a rank at its end waits for what it said to be heard."""
LETTERS = LARGEST_REPORT // 50
"""A report is not too large whose names have so many in all; see `Numbers.at_most`."""


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
        storage: str | None = None,
    ) -> None:
        self.hyperparameters = hyperparameters
        """The trial's configuration."""
        self.rank, self.world_size, self.local_rank = rank, world_size, local_rank
        self.latest: Checkpoint | None = welcome.task.checkpoint if welcome else None
        """The checkpoint to go on from; None: from the start."""
        self.seed: int = welcome.task.seed if welcome else 0
        self.trial_id: str = welcome.task.trial_id if welcome else "local"
        self._target, self._time = target, -1
        self._line, self._task = line, welcome.task if welcome else None
        self._metric = self._task.metric if self._task else None
        self._outbox: Outbox | None = None
        self._sequence = itertools.count(1)
        self._notice: Notice | None = None
        self._signalled = False
        self._pace = Pace()
        if line is not None:
            self._outbox = Outbox(line.report, line.saved)
            self._notice = Notice(line, rank, target)
        self._storage = welcome.checkpoint_url if welcome else storage
        self._saver: Any = None
        self._loader: Loader | None = None

    @classmethod
    def join(
        cls,
        hyperparameters: dict[str, Any],
        max_time: int | None,
        distributed: bool,
        storage: str | None,
    ) -> "Run":
        """See `shoal.init`."""
        from shoal.training import checkpoints, errors, ranks

        errors.tell_at_end()
        rank = int(os.environ.get("RANK", "0"))
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        where: dict[str, Any] = {"rank": rank, "world_size": world_size, "local_rank": local_rank}
        socket = os.environ.get(SOCKET_VARIABLE)
        if distributed and world_size > 1:
            ranks.meet()
        if socket is None:
            run = cls(hyperparameters, target=max_time or 1, storage=storage, **where)
            run.latest = None if storage is None else checkpoints.newest(storage)
        else:
            line = Line(socket, os.environ[TOKEN_VARIABLE])
            welcome = line.hello(rank)
            task = welcome.task
            run = cls(task.hyperparameters, target=task.target, line=line, welcome=welcome, **where)
        _hear_sigterm(run)
        atexit.register(run._leave)
        return run

    @property
    def device(self) -> Any:
        """Where this rank trains, as torch.device: its GPU if it has one, else the CPU."""
        import torch

        return torch.device(f"cuda:{self.local_rank}" if torch.cuda.is_available() else "cpu")

    @property
    def target(self) -> int:
        """How far to train, in units of the experiment's time metric, as far as is known now."""
        return max(self._target, self._notice.word.target) if self._notice else self._target

    @property
    def preempted(self) -> bool:
        """Whether this rank has heard that its slots go away. It may be looked at anywhere (while
        data is prepared, in an evaluation) at no cost; what all ranks agree on is `should_stop`."""
        reason = self._notice.word.reason if self._notice else None
        return self._signalled or reason is StopReason.PREEMPTED

    def report(self, *, step: int, **metrics: Any) -> None:
        """Report numbers of a step (anything that `float` takes). Rank 0's count; the others'
        calls do nothing. Returns at once: they are sent in order, and again until they are safe.

        A report that carries the experiment's metric is a validation result: the search decides
        on it. Each step counts once. Raises ValueError if it lacks the time metric or is larger
        than `LARGEST_REPORT`, TypeError for what is no number, RuntimeError if what was said
        before cannot be sent.
        """
        # Between two steps little of this is in the processor's caches: it touches as few things
        # as it can.
        if type(step) is not int:
            step = operator.index(step)
        letters = 0
        for name, value in metrics.items():
            letters += len(name)
            if type(value) is not float:
                metrics[name] = _number(value)
        validation = self._metric is None or self._metric in metrics
        if validation:
            self._time = self._place(step, metrics)
        if self.rank != 0:
            return
        if self._outbox is None:
            shown = "  ".join(f"{name}={value:.6g}" for name, value in metrics.items())
            print(f"step {step}  {shown}", file=sys.stderr)
            return
        group: Group = "validation" if validation else "training"
        samples = None if self._loader is None else self._loader.seen
        item: Said = (step, metrics, group, time.time(), next(self._sequence), samples)
        if letters > LETTERS:
            _check_size(item)
        self._outbox.put(item, now=validation)

    def _place(self, step: int, numbers: dict[str, float]) -> int:
        if self._task is None or self._task.time_metric == "step":
            return step
        if self._task.time_metric not in numbers:
            raise ValueError(
                f"the report has {self._task.metric!r} but not {self._task.time_metric!r}, which"
                " is the experiment's searcher.time_metric"
            )
        return int(numbers[self._task.time_metric])

    def checkpoint(self, *, step: int, wait: bool = False, **parts: Any) -> None:
        """Save `parts` (anything with a `state_dict`, tensors, or plain values) with every rank's
        random state. Every rank must call it.

        Returns once a copy is taken; it is written while training goes on, and counts once it is
        complete. With `wait` it is then complete. Waits while an earlier one is being written. A
        step that was saved is not saved again. Models that lie in pieces over the ranks are saved
        in pieces. By itself, a script saves where `shoal.init(storage=...)` says, or nothing.

        Raises CheckpointError if the one before (with `wait`: this one) could not be written.
        """
        if self._storage is None:
            return
        if self._saver is None:
            from shoal.training.saver import Saver

            attempt = self._task.attempt if self._task is not None else 1
            self._saver = Saver(self._storage, attempt, self.rank, self._saved)
        self._saver.save(step, parts, wait=wait)

    def _saved(self, found: Checkpoint, figures: Any) -> None:
        self.latest = found
        if self._outbox is None:
            return
        metrics = {
            "checkpoint_stall_seconds": figures.stall,
            "checkpoint_write_seconds": figures.write,
            "checkpoint_bytes": float(figures.size),
        }
        item: Said = (found.step, metrics, "system", time.time(), next(self._sequence), None)
        self._outbox.put(item, now=False)
        self._outbox.put(found, now=True)

    def restore(self, **parts: Any) -> int:
        """Load the latest checkpoint into `parts` (each with `load_state_dict`), and this rank's
        random state; returns the step that it was taken after: 0 if there is none.

        The checkpoint may be another trial's. Then random states stay as they are, optimizers
        keep the hyperparameters that the script gave them, and the step is 0 if the trial only
        takes the weights over.

        Raises CheckpointError if a file is damaged, KeyError if a part was not saved.
        """
        from shoal.training import checkpoints, restoring, sharded
        from shoal.training.randomness import restore_random_state
        from shoal.training.saver import RANDOM

        if self.latest is None:
            return 0
        inherits = self._task.inherits if self._task is not None else "nothing"
        whole, pieces = sharded.split(parts)
        content = checkpoints.load(self.latest.url, [*whole, RANDOM])
        restoring.into(whole, content, inherits)
        if pieces:
            sharded.load(checkpoints.Folder(self.latest.url), pieces, inherits)
        states = content[RANDOM]
        if inherits == "nothing" and self.rank < len(states):
            restore_random_state(states[self.rank])
        return 0 if inherits == "weights" else self.latest.step

    def loader(self, dataset: Any, batch_size: int, **options: Any) -> Loader:
        """Batches of `dataset`: `batch_size` samples at a time over all ranks together, the same
        ones in the same order on any number of slots. See `Loader`; further options
        (`num_workers`, `collate_fn`, ...) are those of torch's DataLoader. What the first one hands
        out is the trial's throughput in samples."""
        where: dict[str, Any] = {"rank": self.rank, "world_size": self.world_size}
        made = Loader(dataset, batch_size, **where, **{"seed": self.seed, **options})
        self._loader = self._loader or made
        return made

    def should_stop(self) -> bool:
        """Whether to leave now: told to, or trained in full. Every rank must call it, equally
        often, and all get the same answer; it may be called after each batch, and in warm-up and
        evaluation. At the target it waits for the searcher's word. Several ranks agree by an
        all-reduce of two numbers; where calls come faster than every 0.25 s, not in each of them
        (`Pace`)."""
        if self.world_size == 1:
            return self._told_to_stop()
        if not self._pace.call(time.monotonic(), self._time):
            return False
        from shoal.training import ranks

        told, calls = ranks.agree(self._told_to_stop(), self._pace.wish(self.target))
        self._pace.agreed(calls)
        return told

    def _told_to_stop(self) -> bool:
        if self._line is None or self._notice is None:
            return self._signalled or self._time >= self.target
        if self._notice.word.stop:
            return True
        if self._time < self._target:  # as for most steps
            return False
        if self.rank != 0 or self._time < self.target or self._outbox is None:
            return False
        self._outbox.flush(WAITING)
        try:
            word = self._line.ask(self.rank, self._time)
        except OSError:  # the worker does not answer: better train on
            return False
        except ClosedError:
            return True
        self._target = max(self._target, word.target)
        return word.stop

    def finish(self) -> None:
        """Wait until the last checkpoint is written and everything that was said is safe. A
        script that ends does so by itself. Raises CheckpointError, TimeoutError."""
        try:
            if self._saver is not None:
                self._saver.finish()
        finally:
            if self._outbox is not None and not self._outbox.flush(LEAVING):
                raise TimeoutError(f"the worker did not answer for {LEAVING:g} s")

    def _leave(self) -> None:
        """At the end of the process. A checkpoint that could not be written is an error of it."""
        try:
            self.finish()
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        if self._line is not None:
            self._line.close()


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    return float(value.detach() if hasattr(value, "detach") else value)


def _check_size(item: Said) -> None:
    report = numbers(item)
    if Numbers.at_most(report.metrics) <= LARGEST_REPORT:
        return
    size = len(report.model_dump_json().encode())
    if size > LARGEST_REPORT:
        raise ValueError(
            f"the report of step {report.step} has {len(report.metrics)} metrics in {size} bytes;"
            f" one may have {LARGEST_REPORT}: report fewer metrics at once"
        )


def _hear_sigterm(run: Run) -> None:
    """Under a worker, which says when to stop, SIGTERM means nothing; a script by itself is told
    by the first one, and ended by the next. What it starts can be ended by SIGTERM as ever."""

    def told(*_: Any) -> None:
        if run._line is None:
            run._signalled = True
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, told)
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
