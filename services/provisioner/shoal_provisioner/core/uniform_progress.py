"""When work with a deadline needs an on-demand machine: the Uniform Progress policy.

Wu et al., *Can't Be Late: Optimizing Spot Instance Savings under Deadlines*, NSDI 2024
(https://www.usenix.org/conference/nsdi24/presentation/wu-zhanghao). Names as there: the work
should advance evenly, so that by the time t a share t/R of the computing C is done; spot machines
are taken whenever they are there, on-demand ones only to catch up.
"""

from dataclasses import dataclass
from typing import Literal

Choice = Literal["idle", "spot", "on_demand"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a task stands. All in seconds."""

    total: float
    """Computing, all in all."""
    done: float
    begun_at: float
    deadline_at: float
    changeover: float
    """What is lost by changing to another machine: start, and loading a checkpoint."""

    def expected(self, at: float) -> float:
        """Computing that should be done at a time."""
        span = self.deadline_at - self.begun_at
        share = (at - self.begun_at) / span if span > 0 else 1.0
        return self.total * min(1.0, max(0.0, share))


def choose(task: Progress, now: float, spot_available: bool, current: Choice) -> Choice:
    """What the task should run on now.

    - Thrifty: nothing, once it is done.
    - Safety net: on demand to the end, when what is left just fits in before the deadline with two
      changeovers.
    - Exploitation: a spot machine is kept until it is taken away.
    - Uniform progress: on demand if the task lags behind and no spot machine is there.
    - Hysteresis: an on-demand machine is kept until the task is two changeovers ahead.
    """
    left = task.total - task.done
    if left <= 0:
        return "idle"
    if task.deadline_at - now <= left + 2 * task.changeover:
        return "on_demand"
    if current == "spot" and spot_available:
        return "spot"
    if current == "on_demand" and task.done < task.expected(now + 2 * task.changeover):
        return "on_demand"
    if spot_available:
        return "spot"
    return "on_demand" if task.done < task.expected(now) else "idle"
