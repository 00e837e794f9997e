"""The effect of each event on the state."""

from shoal_contract.events import (
    Event,
    NodeLeft,
    NodeNoticed,
    RankExited,
    RunAccepted,
    RunExited,
    RunExtended,
    RunStarted,
    RunStopping,
)
from shoal_contract.states import RUN, RunState
from shoal_worker.core.failure import Failure
from shoal_worker.core.state import REMEMBERED, Run, State


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case RunAccepted():
            state.runs[event.run_id] = Run(order=event.run, target=event.run.task.target)
        case RunStarted() | RunStopping():
            run = state.runs[event.run_id]
            run.state = RunState(RUN[run.state][event.type])
            if isinstance(event, RunStopping):
                run.stop_reason, run.until = event.reason, event.until
            else:
                run.started = True
        case RunExtended():
            state.runs[event.run_id].target = event.target
        case RankExited():
            run = state.runs[event.run_id]
            run.exits[event.rank] = event.exit_code
            if event.failed_at is not None:
                failure = Failure(
                    reason=f"rank {event.rank}: {event.tail or _how(event.exit_code)}",
                    exit_code=event.exit_code,
                    at=event.failed_at,
                    echo=event.echo,
                    lost=event.lost,
                )
                run.failure = failure if failure.before(run.failure) else run.failure
        case RunExited():
            state.runs.pop(event.run_id, None)
            state.over[event.run_id] = None
            if len(state.over) > REMEMBERED:
                del state.over[next(iter(state.over))]
        case NodeNoticed():
            state.draining = True
        case NodeLeft():
            state.left = True
        case _:
            pass
    return state


def _how(exit_code: int) -> str:
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
