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
from shoal_contract.states import InstanceState
from shoal_provisioner.core.state import Instance, PoolState, State


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case DemandNoted():
            _pool(state, event.pool).missing_slots = event.missing_slots
            for machine in state.of(event.pool):
                machine.busy_since = None
        case InstanceRequested():
            _pool(state, event.pool).made += 1
            state.instances[event.instance_id] = Instance(
                instance_id=event.instance_id,
                pool=event.pool,
                slots=event.slots,
                requested_at=event.at,
            )
        case InstanceStarted():
            state.instances[event.instance_id].state = InstanceState.STARTED
        case InstanceJoined():
            instance = state.instances[event.instance_id]
            instance.state, instance.idle_since = InstanceState.JOINED, event.at
            _pool(state, event.pool).failures = 0
        case InstanceIdled():
            instance = state.instances[event.instance_id]
            instance.idle_since = event.at if event.idle else None
            instance.busy_since = None if event.idle else event.at
        case InstanceStopping():
            state.instances[event.instance_id].state = InstanceState.STOPPING
        case InstanceFailed():
            pool = _pool(state, event.pool)
            pool.failures, pool.failed_at = pool.failures + 1, event.at
            state.instances.pop(event.instance_id)
        case InstanceStopped():
            state.instances.pop(event.instance_id)
        case _:
            pass
    return state


def _pool(state: State, name: str) -> PoolState:
    return state.pools.setdefault(name, PoolState())
