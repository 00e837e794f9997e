"""How a run and a whole gang ended, as the trial is to see it."""

from shoal_contract.states import Outcome, StopReason
from shoal_scheduler.core.models import Allocation

_WORST_FIRST = (
    Outcome.LOST,
    Outcome.PREEMPTED,
    Outcome.FAILED,
    Outcome.STOPPED,
    Outcome.COMPLETED,
)


def of_run(allocation: Allocation, outcome: Outcome, draining: bool) -> Outcome:
    """What a run's end counts as, before it is settled.

    A failure after the order to stop is no fault of its own, nor is an end on a machine that goes
    away. When the gang was told to leave because one of its runs completed, leaving is completing;
    when those that failed so far did so since this one was gone, its failure is the cause.
    """
    ordered = allocation.stop_reason
    if outcome in (Outcome.COMPLETED, Outcome.PREEMPTED):
        return outcome
    if outcome is Outcome.LOST:
        return Outcome.PREEMPTED if draining else outcome
    if ordered in (StopReason.PAUSED, StopReason.CLOSED):
        return Outcome.STOPPED
    if ordered is StopReason.PREEMPTED:
        return Outcome.PREEMPTED
    if ordered is StopReason.GANG_BROKEN:
        over = [run for run in allocation.runs.values() if run.outcome is not None]
        if outcome is Outcome.FAILED and all(run.echo for run in over):
            return outcome
        if all(run.outcome is Outcome.COMPLETED for run in over):
            return Outcome.COMPLETED if outcome is Outcome.STOPPED else outcome
        return Outcome.STOPPED
    return Outcome.PREEMPTED if draining and outcome is Outcome.STOPPED else outcome


def of_allocation(allocation: Allocation) -> tuple[Outcome, str]:
    """Outcome and reason of a gang all of whose runs are over: the worst of them; of failures, the
    first that is no echo of another.

    Where a machine went, the errors of the other ranks are its echo, and no fault of the script.
    """
    ends = [(run.outcome, run) for run in allocation.runs.values() if run.outcome]
    outcome, worst = min(ends, key=lambda end: _WORST_FIRST.index(end[0]))
    reason = worst.reason
    if outcome is Outcome.FAILED:
        failures = [(run.echo, run.failed_at, run.reason) for _, run in ends if run.failed_at]
        reason = min(failures)[2] if failures else reason
    told = allocation.stop_reason not in (None, StopReason.GANG_BROKEN)
    if outcome is Outcome.COMPLETED and told:
        return Outcome.STOPPED, f"told to stop ({allocation.stop_reason})"
    return outcome, reason
