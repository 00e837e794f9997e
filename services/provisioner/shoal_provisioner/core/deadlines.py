"""Which of a pool's work with deadlines needs on-demand machines now, and moving it there and
back. A machine of the other sort is started first; work moves when that one is ready."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shoal_contract.states import InstanceState
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.offers import START, Offer, paused
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import Instance, TaskState
from shoal_provisioner.core.uniform_progress import Choice, Progress, choose


@dataclass(slots=True)
class Needs:
    """What work with deadlines needs now."""

    waiting: int = 0
    """Slots on demand for tasks that wait."""
    to_on_demand: list[Instance] = field(default_factory=list)
    """Spot machines with work that must not be lost any more."""
    to_spot: list[Instance] = field(default_factory=list)
    """On-demand machines all of whose work is ahead of time."""


def needs(draft: Draft, pool: Pool, offers: Sequence[Offer]) -> Needs:
    """What the Uniform Progress policy says of each task of a pool."""
    found = Needs()
    if pool.deadline_policy == "none":
        return found
    history = draft.state.pool(pool.name)
    spot = any(o.spot and not paused(o, history.offers, draft.now) for o in offers)
    its = draft.state.of(pool.name)
    machines = {name: machine for machine in its for name in machine.shares}
    ahead: dict[str, bool] = {}
    for task in history.tasks.values():
        machine = machines.get(task.allocation_id or "")
        if machine is not None and not machine.counts:
            continue  # it will wait in a moment
        need = _choose(task, machine, draft.now, spot)
        if machine is None:
            found.waiting += task.slots if need == "on_demand" else 0
        elif machine.spot and need == "on_demand":
            found.to_on_demand.append(machine)
        elif not machine.spot:
            name = machine.instance_id
            ahead[name] = ahead.get(name, True) and need == "spot"
    timed = {task.allocation_id for task in history.tasks.values()}
    found.to_spot = [m for m in its if ahead.get(m.instance_id) and m.shares.keys() <= timed]
    return found


def hand_over(draft: Draft, pool: Pool, need: Needs, start: Callable[[bool], bool]) -> None:
    """Move work between spot and on-demand machines. `start(spot)` starts a machine, if it may."""
    history = draft.state.pool(pool.name)
    for spot, movers, claimed in (
        (False, need.to_on_demand, need.waiting),
        (True, need.to_spot, history.missing_slots),
    ):
        if not movers or (spot and history.missing_slots):
            continue
        ready, coming = _spare(draft, pool, spot)
        for machine in movers:
            if draft.full:
                return
            if sum(m.slots for m in ready) - machine.slots >= claimed:
                ready.pop()
                where = "a spot" if spot else "an on-demand"
                draft.stop(machine, f"its work goes on with {where} machine, as its deadline asks")
            elif coming:
                coming.pop()
            elif not start(spot):
                break


def _spare(draft: Draft, pool: Pool, spot: bool) -> tuple[list[Instance], list[Instance]]:
    """Machines without work: those that are ready, and those that start."""
    its = [m for m in draft.state.of(pool.name) if m.spot == spot and m.counts and not m.works]
    ready = [m for m in its if m.state is InstanceState.JOINED and m.idle_since is not None]
    return ready, [m for m in its if m.state is not InstanceState.JOINED]


def _choose(task: TaskState, machine: Instance | None, now: float, spot: bool) -> Choice:
    current: Choice = "idle"
    if machine is not None:
        current = "spot" if machine.spot else "on_demand"
    progress = Progress(
        total=task.total,
        done=task.done_by(now),
        begun_at=task.begun_at,
        deadline_at=task.deadline_at,
        changeover=START,
    )
    return choose(progress, now, spot or current == "spot", current)
