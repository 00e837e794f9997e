"""Short words for the provisioner's messages, its invariants, and a runner that checks them."""

from shoal_contract.events import (
    DemandChanged,
    Event,
    InstanceFailed,
    InstanceRequested,
    InstanceStopped,
    InstanceStopping,
    NodeAdmitted,
    NodeBusy,
    NodeIdle,
    NodeRemoved,
    Want,
)
from shoal_contract.states import INSTANCE, InstanceState, allowed
from shoal_decider import Message, Tick
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import MachineFailed, MachineGone, MachineStarted
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import FREE, Prices
from shoal_provisioner.core.requests import as_changed
from shoal_provisioner.core.state import State


def pool(**given) -> Pool:
    return Pool(**{"name": "p", "max_instances": 4, "slots_per_instance": 2, **given})


class ExampleDecider(ProvisionerDecider):
    """With the pool of these tests, so that another interpreter can build it without arguments."""

    def __init__(self) -> None:
        super().__init__([pool(min_instances=1)])


def demand(*sizes: int, pool: str = "p") -> DemandChanged:
    return DemandChanged(pool=pool, wants=[Want(slots=size, count=1) for size in sizes])


def started(number: int) -> MachineStarted:
    return MachineStarted(pool="p", instance_id=f"p-{number}")


def failed(number: int) -> MachineFailed:
    return MachineFailed(pool="p", instance_id=f"p-{number}", reason="no capacity")


def gone(number: int) -> MachineGone:
    return MachineGone(pool="p", instance_id=f"p-{number}", reason="it vanished")


def admitted(number: int) -> NodeAdmitted:
    return NodeAdmitted(
        node_id=f"node-{number}",
        incarnation="i",
        pool="p",
        host="h",
        slots=[],
        ports=[],
        instance_id=f"p-{number}",
    )


def idle(number: int) -> NodeIdle:
    return NodeIdle(node_id=f"node-{number}", instance_id=f"p-{number}")


def busy(number: int) -> NodeBusy:
    return NodeBusy(node_id=f"node-{number}", instance_id=f"p-{number}")


def removed(number: int) -> NodeRemoved:
    return NodeRemoved(
        node_id=f"node-{number}", incarnation="i", instance_id=f"p-{number}", reason="silent"
    )


def check(state: State, pools: dict[str, Pool]) -> None:
    for name, instance in state.instances.items():
        assert instance.instance_id == name
        assert instance.state not in (InstanceState.STOPPED, InstanceState.FAILED)
        number = int(name.rpartition("-")[2])
        assert number < state.pool(instance.pool).made, "an id is never given twice"
    for name, its in as_changed(pools, state).items():
        if its.mode == "observe":
            continue
        assert sum(i.counts for i in state.of(name)) <= its.max_instances


BEGINS = {
    "instance.requested": InstanceState.REQUESTED,
    "instance.adopted": InstanceState.STARTED,
    "instance.disowned": InstanceState.STOPPING,
}
STEPS = {step for table in INSTANCE.values() for step in table}


class Yard:
    """A provisioner; each event is followed in the table of instances, each state is checked."""

    def __init__(self, *pools: Pool, prices: Prices = FREE) -> None:
        self.decider = ProvisionerDecider(pools or (pool(),), prices)
        self.state = self.decider.initial()
        self.states: dict[str, InstanceState] = {}
        self.now, self.told = 1000.0, 0

    def tell(self, body, after: float = 0.1) -> list[Event]:
        self.now += after
        self.told += 1
        events = list(self.decider.decide(self.state, Message(f"m{self.told}", self.now, body)))
        for event in events:
            self._follow(event)
            self.state = self.decider.evolve(self.state, event)
        check(self.state, self.decider.pools)
        return events

    def tick(self, after: float = 1.0) -> list[Event]:
        return self.tell(Tick(), after)

    def up(self, *numbers: int) -> None:
        for number in numbers:
            self.tell(started(number))
            self.tell(admitted(number))

    def _follow(self, event: Event) -> None:
        if event.type in BEGINS:
            fresh = event.instance_id not in self.states
            assert fresh or event.type == "instance.disowned", "an id is never given twice"
            self.states[event.instance_id] = BEGINS[event.type]
        elif event.type in STEPS:
            state = self.states[event.instance_id]
            assert allowed(INSTANCE, state, event.type), f"{event.type} after {state}"
            self.states[event.instance_id] = INSTANCE[state][event.type]


def of_type(events, kind):
    return [event for event in events if isinstance(event, kind)]


def requested(events):
    return [e.instance_id for e in events if isinstance(e, InstanceRequested)]


def stopping(events):
    return [e.instance_id for e in events if isinstance(e, InstanceStopping)]


def ended(events):
    return [
        (e.type, e.instance_id) for e in events if isinstance(e, InstanceFailed | InstanceStopped)
    ]
