"""Experiments with a deadline or a budget of money: what is left to do, and what is spent.

A trial's seconds follow from the units of its time metric that are left and its measured pace.
Trials that have not begun yet share the lanes of those that have: each open trial stands for its
part of them as well, in whole trials.
"""

import math
from collections.abc import Mapping

from shoal_contract.deadline import deadline_at
from shoal_contract.events import (
    AllocationProgressed,
    SearchAccepted,
    SearchCancelled,
    SearchChanged,
    SearchCompleted,
    SearchFailed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCompleted,
    TrialExtended,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialRequested,
    TrialStarted,
    TrialStopped,
)
from shoal_contract.events.instance import (
    ExperimentBudgetCrossed,
    ExperimentLeft,
    ExperimentNoted,
    TaskNoted,
)
from shoal_contract.ids import allocation_id, experiment_of, trial_of
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.money import RELEASE
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import TaskState, Work

Ended = TrialPaused | TrialCompleted | TrialStopped | TrialCancelled | TrialFailed
OfTrial = (
    TrialRequested
    | TrialStarted
    | TrialExtended
    | TrialMeasured
    | TrialCheckpointed
    | TrialInterrupted
    | AllocationProgressed
    | Ended
)
OfSearch = SearchAccepted | SearchChanged | SearchCompleted | SearchCancelled | SearchFailed

ASSUMED = 0.5
"""Part of the time up to its deadline that work takes whose pace is not known yet: it gets a spot
machine, or one on demand if there is none."""
LINES = (0.5, 0.8, 0.95)
"""Shares of a budget at which an event is written before its end."""


def of_search(draft: Draft, body: OfSearch, pools: Mapping[str, Pool]) -> None:
    """An experiment began, became larger or smaller, or ended."""
    known = draft.state.experiments.get(body.experiment_id)
    match body:
        case SearchAccepted():
            if known is None:
                _accepted(draft, body, pools)
        case SearchChanged():
            if known is not None and body.units is not None:
                _changed_search(draft, known, body)
        case _:
            if known is not None:
                draft.emit(ExperimentLeft(experiment_id=body.experiment_id, at=draft.now))


def _changed_search(draft: Draft, work: Work, body: SearchChanged) -> None:
    lanes = body.max_concurrent_trials or work.lanes
    lanes = min(lanes, work.most_lanes) if work.most_lanes else lanes
    if (body.units, lanes) != (work.units, work.lanes):
        draft.emit(
            ExperimentNoted(
                experiment_id=body.experiment_id,
                begun_at=work.begun_at,
                deadline_at=work.deadline_at,
                money=work.money,
                units=body.units,
                lanes=lanes,
                most_lanes=work.most_lanes,
            )
        )


def _accepted(draft: Draft, body: SearchAccepted, pools: Mapping[str, Pool]) -> None:
    budget = body.config.searcher.budget
    money = budget.money if budget is not None else None
    if money is None and body.config.deadline is None:
        return
    begun_at = body.at or draft.now
    deadline = body.config.deadline
    most = _most_lanes(body, pools.get(body.config.resources.pools[0]))
    draft.emit(
        ExperimentNoted(
            experiment_id=body.experiment_id,
            begun_at=begun_at,
            deadline_at=deadline_at(deadline, begun_at) if deadline is not None else None,
            money=money,
            units=body.units,
            lanes=_lanes(body, most),
            most_lanes=most,
        )
    )


def _lanes(body: SearchAccepted, most: int) -> int:
    """Trials that train side by side: as many as the search, its slots and the pool allow, and as
    there would be if each trained in full."""
    searcher = body.config.searcher
    limits = [-(-(body.units or 0) // searcher.max_time)]
    if concurrent := getattr(searcher, "max_concurrent_trials", 1):
        limits.append(concurrent)
    return max(1, min([*limits, most] if most else limits))


def _most_lanes(body: SearchAccepted, pool: Pool | None) -> int:
    """Trials that its slots and the pool allow side by side; 0: any number."""
    resources, limits = body.config.resources, list[int]()
    if resources.max_slots is not None:
        limits.append(resources.max_slots // resources.least)
    if pool is not None:
        limits.append(pool.most_slots(resources.wish) // resources.least)
    return max(1, min(limits)) if limits else 0


def of_trial(draft: Draft, body: OfTrial, pools: Mapping[str, Pool]) -> None:
    """Take note of how far a trial is, if its experiment has a deadline."""
    work = draft.state.experiments.get(body.experiment_id)
    if work is None or work.deadline_at is None:
        return
    trial = _trial_of(body)
    pool, task = _open(draft, trial)
    if isinstance(body, TrialRequested):
        its = [pools[name] for name in body.resources.pools if name in pools]
        pool = next((p.name for p in its if p.deadline_policy != "none"), "")
        if not pool:
            return
        task = _begun(work, body, draft.now)
    if task is None:
        return
    task = _advanced(draft, task)
    changed = _changed(task, body)
    if changed is not None:
        over = isinstance(body, Ended)
        _note(draft, pool, trial, work, task.model_copy(update=changed), over=over)


def _trial_of(body: OfTrial) -> str:
    if isinstance(body, AllocationProgressed):
        return trial_of(body.allocation_id)
    return body.trial_id


def _open(draft: Draft, trial: str) -> tuple[str, TaskState | None]:
    for name, history in draft.state.pools.items():
        if trial in history.tasks:
            return name, history.tasks[trial]
    return "", None


def _begun(work: Work, body: TrialRequested, now: float) -> TaskState:
    saved = work.saved.get(body.trial_id, 0)
    return TaskState(
        allocation_id=allocation_id(body.trial_id, body.attempt),
        slots=body.resources.least,
        total=0,
        done=0,
        begun_at=work.begun_at,
        deadline_at=work.deadline_at or now,
        noted_at=now,
        experiment_id=body.experiment_id,
        target=body.task.target,
        time=saved,
        saved=saved,
        pace=work.pace,
    )


def _advanced(draft: Draft, task: TaskState) -> TaskState:
    """A task as it is now, if it goes on as fast as it did."""
    runs = any(task.allocation_id in m.shares for m in draft.state.instances.values())
    if not runs or task.pace is None:
        return task
    time = min(task.target, task.time + task.pace * (draft.now - task.noted_at))
    return task.model_copy(update={"time": max(task.time, time)})


def _changed(task: TaskState, body: OfTrial) -> dict[str, object] | None:
    """The fields of a task that a message changes; None: it says nothing new."""
    match body:
        case TrialRequested() | TrialStarted():
            return {}
        case TrialExtended() if body.target > task.target:
            return {"target": body.target}
        case TrialMeasured():
            return {"time": body.time}
        case TrialCheckpointed() if task.time > task.saved:
            return {"saved": task.time}
        case AllocationProgressed() if body.pace:
            return {"pace": body.pace} if body.pace != task.pace else None
        case TrialInterrupted() | TrialPaused():
            return {"time": task.saved, "allocation_id": None}
        case TrialCompleted() | TrialStopped() | TrialCancelled() | TrialFailed():
            return {"allocation_id": None}
        case _:
            return None


def _note(draft: Draft, pool: str, trial: str, work: Work, task: TaskState, *, over: bool) -> None:
    total, done = (0.0, 0.0) if over else left(work, _others(draft, trial, task), trial, task)
    noted = task.model_copy(update={"total": total, "done": done, "noted_at": draft.now})
    if noted != draft.state.pool(pool).tasks.get(trial):
        fields = noted.model_dump(exclude={"noted_at"})
        draft.emit(TaskNoted(**fields, pool=pool, task_id=trial, at=draft.now))


def _others(draft: Draft, trial: str, task: TaskState) -> dict[str, TaskState]:
    """The open trials of the same experiment, by their ids."""
    return {
        name: other
        for history in draft.state.pools.values()
        for name, other in history.tasks.items()
        if other.experiment_id == task.experiment_id and name != trial
    }


def left(
    work: Work, others: Mapping[str, TaskState], trial: str, task: TaskState
) -> tuple[float, float]:
    """Seconds of computing of a trial and its part of those that have not begun: all in all, and
    done."""
    if task.pace is None:
        span = (work.deadline_at or work.begun_at) - work.begun_at
        return ASSUMED * span, ASSUMED * span * min(1.0, task.time / max(1, task.target))
    rounds, after = 1, 0
    if work.units is not None:
        closed = sum(t for name, t in work.times.items() if name != trial and name not in others)
        begun = task.target + sum(other.target for other in others.values()) + closed
        free = max(0, work.lanes - 1 - len(others)) * task.target
        rounds = _rounds(work.units, work, task)
        after = _rounds(work.units - begun - free, work, task)
    to_do = max(0.0, task.target - task.time) + after * task.target
    total = max(float(rounds * task.target), to_do)
    return total / task.pace, (total - to_do) / task.pace


def _rounds(units: float, work: Work, task: TaskState) -> int:
    """Trials like this one that a lane trains one after another, if all lanes share `units`."""
    return max(0, math.ceil(units / (work.lanes * max(1, task.target))))


def guard(draft: Draft) -> None:
    """Say which experiments crossed a line of their budget. At the last one, with what their
    machines cost until they are released, the search ends."""
    limited = {name: work for name, work in draft.state.experiments.items() if work.money}
    if not limited:
        return
    rates = dict.fromkeys(limited, 0.0)
    spent = {name: work.spent for name, work in limited.items()}
    for machine in draft.state.instances.values():
        for allocation, slots in machine.shares.items():
            name = experiment_of(allocation)
            if name in limited and machine.metered_at is not None:
                rate = slots / machine.slots * machine.price
                rates[name] += rate
                spent[name] += rate * max(0.0, draft.now - machine.metered_at) / 3600
    for name, work in limited.items():
        limit = work.money or 0.0
        crossed = [line for line in LINES if spent[name] >= line * limit]
        whole = spent[name] + rates[name] * RELEASE / 3600 >= limit
        line = 1.0 if whole else max(crossed, default=0.0)
        if line > work.line:
            draft.emit(
                ExperimentBudgetCrossed(
                    experiment_id=name, share=line, spent=spent[name], limit=limit, at=draft.now
                )
            )
