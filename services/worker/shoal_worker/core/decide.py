"""What follows from each message, for the runs of one machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shoal_contract.events import (
    Event,
    ExtendOrdered,
    NodeLeft,
    NodeNoticed,
    RankExited,
    RunAccepted,
    RunExited,
    RunExtended,
    RunStarted,
    RunStopping,
    StartOrdered,
    StopOrdered,
)
from shoal_contract.ids import experiment_of, trial_of
from shoal_contract.states import RUN, Outcome, StopReason, allowed
from shoal_decider import Message
from shoal_worker.core.evolve import evolve
from shoal_worker.core.failure import is_echo
from shoal_worker.core.messages import DrainRequested, RankEnded, RanksStarted, StartFailed
from shoal_worker.core.state import Run, State

LONGEST = 300
"""Characters of an exception that are told."""
BROKEN_GRACE = 2.0
"""Seconds that the ranks get to end by themselves after one of them failed."""


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a copy that the state does not see."""

    node_id: str
    incarnation: str
    state: State
    now: float
    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        self.state = evolve(self.state, event)

    def stop(self, run: Run, reason: StopReason, grace: float) -> None:
        """Tell a run to checkpoint and leave; one that was told, only if it now has less time."""
        sooner = run.until is None or self.now + grace < run.until
        if allowed(RUN, run.state, "run.stopping") and sooner:
            self.emit(
                RunStopping(
                    experiment_id=run.order.task.experiment_id,
                    run_id=run.order.run_id,
                    allocation_id=run.order.allocation_id,
                    reason=run.stop_reason or reason,
                    until=self.now + grace,
                )
            )

    def refuse(self, order: StopOrdered) -> None:
        """The order to stop overtook the one to start, which will find the run over."""
        name = order.allocation_id
        outcome, reason = _told(order.reason)
        self.emit(
            RunExited(
                experiment_id=experiment_of(name),
                run_id=order.run_id,
                allocation_id=name,
                trial_id=trial_of(name),
                node_id=self.node_id,
                outcome=outcome,
                reason=f"{reason}, before it started",
            )
        )

    def end(self, run: Run, outcome: Outcome, reason: str, last: RankEnded | None = None) -> None:
        """A run is over, with its `last` rank; the last run of a machine that drains ends the
        worker."""
        task = run.order.task
        self.emit(
            RunExited(
                experiment_id=task.experiment_id,
                run_id=run.order.run_id,
                allocation_id=run.order.allocation_id,
                trial_id=task.trial_id,
                node_id=self.node_id,
                outcome=outcome,
                reason=reason,
                exit_code=run.failure.exit_code if run.failure else None,
                last_step=last.last_step if last else None,
                last_time=last.last_time if last else None,
                failed_at=run.failure.at if run.failure else None,
                echo=run.failure is not None and run.failure.echo,
            )
        )
        self.leave_if_done()

    def leave_if_done(self) -> None:
        """Drained, and nothing left: the worker may go."""
        if self.state.draining and not self.state.runs and not self.state.left:
            self.emit(
                NodeLeft(node_id=self.node_id, incarnation=self.incarnation, reason="drained")
            )


def decide(draft: Draft, message: Message) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or of a past life has no effect."""
    match message.body:
        case StartOrdered() | StopOrdered() | ExtendOrdered() as body:
            if body.node_id == draft.node_id and body.incarnation == draft.incarnation:
                _ordered(draft, body)
        case RanksStarted() | StartFailed() | RankEnded() as body:
            run = draft.state.runs.get(body.run_id)
            if run is not None:
                _happened(draft, run, body)
        case DrainRequested() as body if not draft.state.draining:
            draft.emit(
                NodeNoticed(
                    node_id=draft.node_id,
                    incarnation=draft.incarnation,
                    reason=body.reason,
                    seconds=body.seconds,
                )
            )
            for run in list(draft.state.runs.values()):
                draft.stop(run, StopReason.PREEMPTED, body.seconds)
            draft.leave_if_done()
        case _:
            pass
    return draft.events


def _ordered(draft: Draft, body: StartOrdered | StopOrdered | ExtendOrdered) -> None:
    if isinstance(body, StartOrdered):
        run_id = body.run.run_id
        if run_id in draft.state.runs or run_id in draft.state.over:
            return
        run = Run(order=body.run, target=body.run.task.target)
        if draft.state.draining:
            draft.end(run, Outcome.PREEMPTED, "the machine goes away")
            return
        draft.emit(
            RunAccepted(
                experiment_id=body.run.task.experiment_id,
                run_id=run_id,
                node_id=draft.node_id,
                run=body.run,
            )
        )
        return
    found = draft.state.runs.get(body.run_id)
    if found is None:
        if isinstance(body, StopOrdered) and body.run_id not in draft.state.over:
            draft.refuse(body)
        return
    if isinstance(body, StopOrdered):
        draft.stop(found, body.reason, body.grace)
    elif body.target > found.target:
        draft.emit(
            RunExtended(
                experiment_id=found.order.task.experiment_id,
                run_id=body.run_id,
                target=body.target,
            )
        )


def _happened(draft: Draft, run: Run, body: RanksStarted | StartFailed | RankEnded) -> None:
    task = run.order.task
    if isinstance(body, RanksStarted):
        if not run.started and not run.exits:
            draft.emit(
                RunStarted(
                    experiment_id=task.experiment_id,
                    run_id=body.run_id,
                    allocation_id=run.order.allocation_id,
                    trial_id=task.trial_id,
                    node_id=draft.node_id,
                    pids=body.pids,
                )
            )
        return
    if isinstance(body, StartFailed):
        told = run.stop_reason is not None
        outcome = _outcome(run)[0] if told else Outcome.LOST
        draft.end(run, outcome, body.reason)
        return
    if body.rank not in run.ranks or body.rank in run.exits:
        return
    draft.emit(
        RankExited(
            experiment_id=task.experiment_id,
            run_id=body.run_id,
            rank=body.rank,
            exit_code=body.exit_code,
            tail=(body.error.partition("\n")[0] or body.tail)[:LONGEST],
            failed_at=_failed_at(run, body, draft.now),
            echo=is_echo(body.error or body.tail),
            lost=body.lost,
        )
    )
    run = draft.state.runs[body.run_id]
    if run.ended:
        outcome, reason = _outcome(run)
        draft.end(run, outcome, reason, body)
    elif run.failure:
        draft.stop(run, StopReason.GANG_BROKEN, BROKEN_GRACE)


def _failed_at(run: Run, ended: RankEnded, now: float) -> float | None:
    """When a rank failed by itself, if it did. One that was told to leave did not, but where the
    gang was broken before: then it may be the one that broke it, and took longer to end. Its
    exception says so; its last words do where ranks beside it have failed."""
    if ended.exit_code == 0:
        return None
    words = ended.error or (ended.tail if run.failure and ended.exit_code > 0 else "")
    cause = run.stop_reason is StopReason.GANG_BROKEN and words and not is_echo(words)
    return (ended.failed_at or now) if run.stop_reason is None or cause else None


def _outcome(run: Run) -> tuple[Outcome, str]:
    if run.failure:
        return Outcome.LOST if run.failure.lost else Outcome.FAILED, run.failure.reason
    if run.stop_reason is None:
        return Outcome.COMPLETED, "the script ended"
    return _told(run.stop_reason)


def _told(reason: StopReason) -> tuple[Outcome, str]:
    if reason is StopReason.PREEMPTED:
        return Outcome.PREEMPTED, "its slots were taken away"
    return Outcome.STOPPED, f"it was told to stop ({reason})"
