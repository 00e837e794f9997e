"""The effect of each event on the state."""

from shoal_contract.events import (
    DemandNoted,
    Event,
    InstanceFailed,
    InstanceIdled,
    InstanceJoined,
    InstanceRequested,
    InstanceStarted,
    InstanceStopped,
    InstanceStopping,
)
from shoal_contract.events.instance import (
    BudgetCrossed,
    ExperimentBudgetCrossed,
    ExperimentLeft,
    ExperimentNoted,
    InstanceAdopted,
    InstanceDisowned,
    InstanceMetered,
    InstancePreempted,
    ObtainabilityNoted,
    PoolAdvised,
    PoolChanged,
    PoolConfigured,
    PoolDropped,
    PoolLimits,
    TaskNoted,
    WorkLost,
    WorkSaved,
)
from shoal_contract.ids import experiment_of
from shoal_contract.states import InstanceState
from shoal_provisioner.core.offers import FIRST_PAUSE, aged, offer_key
from shoal_provisioner.core.periods import SECONDS, period_of
from shoal_provisioner.core.state import Instance, Past, PoolState, Spent, State, TaskState, Work


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case InstanceRequested() | InstanceAdopted() | InstanceDisowned():
            _appear(state, event)
        case (
            InstanceStarted()
            | InstanceJoined()
            | InstanceIdled()
            | InstanceStopping()
            | InstancePreempted()
            | InstanceMetered()
            | WorkSaved()
        ):
            if event.instance_id in state.instances:
                _go_on(state, state.instances[event.instance_id], event)
            if isinstance(event, InstanceMetered):
                _charge(state, event)
        case InstanceFailed():
            _fail(state, event)
        case InstanceStopped():
            _forget(state, event.instance_id)
        case DemandNoted() | BudgetCrossed() | ObtainabilityNoted() | TaskNoted() | PoolAdvised():
            _note(state, _pool(state, event.pool), event)
            if isinstance(event, TaskNoted):
                _advance(state, event)
        case PoolConfigured() | PoolChanged() | PoolDropped():
            _describe(_pool(state, event.pool), event)
        case ExperimentNoted() | ExperimentLeft() | ExperimentBudgetCrossed():
            _work(state, event)
        case WorkLost():
            pass  # for whoever sums the costs
        case _:
            pass
    return state


def _pool(state: State, name: str) -> PoolState:
    return state.pools.setdefault(name, PoolState())


def _appear(state: State, event: InstanceRequested | InstanceAdopted | InstanceDisowned) -> None:
    pool, name = _pool(state, event.pool), event.instance_id
    made = Instance(instance_id=name, pool=event.pool, slots=1, requested_at=event.at)
    made.zone, made.spot = event.zone, event.spot
    made.price, made.list_price = event.price, event.list_price
    match event:
        case InstanceDisowned():
            made.state, made.metered_at = InstanceState.STOPPING, event.at
        case InstanceAdopted():
            made.state, made.metered_at = InstanceState.STARTED, event.at
            made.slots, made.kind = event.slots, event.kind
        case InstanceRequested():
            made.slots, made.kind = event.slots, event.kind
            if event.replaces in state.instances:
                state.instances[event.replaces].replaced = True
    pool.made = max(pool.made, number_of(event.pool, name) + 1)
    state.instances[name] = made


def number_of(pool: str, instance_id: str) -> int:
    """The number in an id `<pool>-<number>`; -1: it is no such id."""
    text = instance_id.removeprefix(f"{pool}-")
    sound = text != instance_id and text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if sound else -1


def _go_on(
    state: State,
    instance: Instance,
    event: InstanceStarted
    | InstanceJoined
    | InstanceIdled
    | InstanceStopping
    | InstancePreempted
    | InstanceMetered
    | WorkSaved,
) -> None:
    pool = _pool(state, instance.pool)
    match event:
        case InstanceStarted():
            instance.state, instance.metered_at = InstanceState.STARTED, event.at
            _past(pool, instance, failures=0)
        case InstanceJoined():
            instance.state, instance.idle_since = InstanceState.JOINED, event.at
            instance.node_id = event.node_id
            if instance.metered_at is None:
                instance.metered_at = event.at
            state.nodes[event.node_id] = instance.instance_id
            pool.failures = 0
            _past(pool, instance, failures=0)
        case InstanceIdled():
            instance.idle_since = event.at if event.idle else None
            instance.busy_since = None if event.idle else event.at
        case InstanceStopping():
            instance.state = InstanceState.STOPPING
        case InstancePreempted():
            instance.preempted = True
            past = aged(pool.offers.get(_key(instance), Past()), event.at)
            _past(pool, instance, **{**dict(past), "preemptions": past.preemptions + 1})
        case InstanceMetered():
            _meter(pool, instance, event)
        case WorkSaved():
            instance.saved = {**instance.saved, event.allocation_id: event.at}


def _key(instance: Instance) -> str:
    return offer_key(instance.kind, instance.zone, instance.spot)


def _past(pool: PoolState, instance: Instance, **fields: object) -> None:
    past = pool.offers.get(_key(instance), Past()).model_copy(update=fields)
    pool.offers = {**pool.offers, _key(instance): past}


def _meter(pool: PoolState, instance: Instance, event: InstanceMetered) -> None:
    instance.metered_at, instance.shares = event.at, dict(event.next_shares)
    instance.saved = {name: instance.saved.get(name, event.at) for name in event.next_shares}
    for name in SECONDS:
        period = period_of(name, event.since)
        spent = pool.spent.get(name, Spent(period=period))
        if spent.period < period:
            spent = Spent(period=period)
        if spent.period == period:
            more = spent.model_copy(update={"money": spent.money + event.cost})
            pool.spent = {**pool.spent, name: more}
    if instance.spot:
        past = aged(pool.offers.get(_key(instance), Past()), event.at)
        hours = past.hours + (event.at - event.since) / 3600
        _past(pool, instance, **{**dict(past), "hours": hours})


def _charge(state: State, event: InstanceMetered) -> None:
    """What a machine cost counts against the experiments that used it, if they have a budget."""
    for name, slots in event.shares.items():
        experiment_id = experiment_of(name)
        if (work := state.experiments.get(experiment_id)) is not None:
            spent = work.spent + event.cost * slots / event.slots
            state.experiments[experiment_id] = work.model_copy(update={"spent": spent})


def _advance(state: State, event: TaskNoted) -> None:
    """How far a trial is counts for its experiment also when it neither runs nor waits."""
    work = state.experiments.get(event.experiment_id or "")
    if work is not None and event.experiment_id is not None:
        fields = {
            "times": {**work.times, event.task_id: event.time},
            "saved": {**work.saved, event.task_id: event.saved},
            "pace": event.pace or work.pace,
        }
        state.experiments[event.experiment_id] = work.model_copy(update=fields)


def _work(state: State, event: ExperimentNoted | ExperimentLeft | ExperimentBudgetCrossed) -> None:
    name = event.experiment_id
    match event:
        case ExperimentNoted():
            fields = event.model_dump(exclude={"experiment_id"})
            known = state.experiments.get(name)
            state.experiments[name] = known.model_copy(update=fields) if known else Work(**fields)
        case ExperimentLeft():
            state.experiments.pop(name, None)
            for its, pool in list(state.pools.items()):
                tasks = {k: task for k, task in pool.tasks.items() if task.experiment_id != name}
                state.pools[its] = pool.model_copy(update={"tasks": tasks})
        case ExperimentBudgetCrossed():
            if (work := state.experiments.get(name)) is not None:
                state.experiments[name] = work.model_copy(update={"line": event.share})


def _describe(pool: PoolState, event: PoolConfigured | PoolChanged | PoolDropped) -> None:
    before = _limits(pool)
    match event:
        case PoolConfigured():
            pool.described = event
        case PoolChanged():
            pool.changes, pool.draining = event.changes, event.draining
        case PoolDropped():
            pool.described = None
    after = _limits(pool)  # under another one, which lines are crossed is seen anew
    pool.spent = {
        name: s if before[name] == after[name] else s.model_copy(update={"line": 0})
        for name, s in pool.spent.items()
    }


def _limits(pool: PoolState) -> dict[str, float | None]:
    """What a pool may spend in an hour and a day."""
    described = pool.described.limits if pool.described is not None else PoolLimits()
    return {
        "hour": pool.changes.per_hour or described.per_hour,
        "day": pool.changes.per_day or described.per_day,
    }


def _fail(state: State, event: InstanceFailed) -> None:
    pool, instance = _pool(state, event.pool), state.instances.get(event.instance_id)
    if instance is None:
        return
    if event.cause in FIRST_PAUSE:
        past = pool.offers.get(_key(instance), Past())
        # What was asked for before the last failure failed with it: that is no new attempt.
        again = past.failures == 0 or instance.requested_at > past.failed_at
        _past(pool, instance, failures=past.failures + again, failed_at=event.at, cause=event.cause)
        if instance.spot and pool.short_since is None:
            pool.short_since = event.at
    elif pool.failures == 0 or instance.requested_at > pool.failed_at:
        pool.failures, pool.failed_at = pool.failures + 1, event.at
    _forget(state, event.instance_id)


def _forget(state: State, instance_id: str) -> None:
    gone = state.instances.pop(instance_id, None)
    if gone is not None and gone.node_id is not None:
        state.nodes.pop(gone.node_id, None)


def _note(
    state: State,
    pool: PoolState,
    event: DemandNoted | BudgetCrossed | ObtainabilityNoted | TaskNoted | PoolAdvised,
) -> None:
    match event:
        case DemandNoted():
            pool.missing, pool.wants = dict(event.by_type), event.wants
            if event.missing_slots and not event.by_type:  # as it was said once
                pool.missing = {"": event.missing_slots}
            if event.missing_slots == 0:
                pool.short_since = None
            for machine in state.of(event.pool):
                machine.busy_since = None
        case BudgetCrossed():
            spent = Spent(period=period_of(event.period, event.at), line=event.share)
            old = pool.spent.get(event.period)
            if old is not None and old.period == spent.period:
                spent.money = old.money
            pool.spent = {**pool.spent, event.period: spent}
        case ObtainabilityNoted():
            past = pool.offers.get(event.offer, Past())
            fields = {"obtainability": event.obtainability, "uptime": event.uptime}
            pool.offers = {**pool.offers, event.offer: past.model_copy(update=fields)}
        case TaskNoted():
            pool.tasks = {name: task for name, task in pool.tasks.items() if name != event.task_id}
            if event.total:
                fields = event.model_dump(exclude={"pool", "task_id", "at"})
                pool.tasks[event.task_id] = TaskState(**fields, noted_at=event.at)
        case PoolAdvised():
            pool.advice = event.would
