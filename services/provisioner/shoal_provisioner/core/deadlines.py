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
    to_on_demand: list[list[Instance]] = field(default_factory=list)
    """Spot machines with work that must not be lost any more, gang by gang."""
    to_spot: list[list[Instance]] = field(default_factory=list)
    """On-demand machines all of whose work is ahead of time, gang by gang."""


def needs(draft: Draft, pool: Pool, offers: Sequence[Offer]) -> Needs:
    """What the Uniform Progress policy says of each task of a pool."""
    found = Needs()
    history = draft.state.pool(pool.name)
    if pool.deadline_policy == "none" or not history.tasks:
        return found
    spot = any(o.spot and not paused(o, history.offers, draft.now) for o in offers)
    gangs: dict[str, list[Instance]] = {}
    for machine in draft.state.instances.values():
        for name in machine.shares:
            gangs.setdefault(name, []).append(machine)
    behind, ahead = set[str](), list[list[Instance]]()
    for task in history.tasks.values():
        gang = gangs.get(task.allocation_id or "", [])
        if not all(machine.counts and machine.pool == pool.name for machine in gang):
            continue  # it will wait in a moment, or burst into another pool
        need = _choose(task, gang, draft.now, spot)
        if not gang:
            found.waiting += task.slots if need == "on_demand" else 0
        elif any(machine.spot for machine in gang):
            if need == "on_demand":
                found.to_on_demand.append([machine for machine in gang if machine.spot])
        elif need == "spot":
            ahead.append(gang)
        else:
            behind.update(machine.instance_id for machine in gang)
    timed = {task.allocation_id for task in history.tasks.values()}
    for gang in ahead:
        if all(m.instance_id not in behind and m.shares.keys() <= timed for m in gang):
            found.to_spot.append(gang)
            behind.update(machine.instance_id for machine in gang)  # once is enough
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
        while ready and claimed > 0:
            claimed -= ready.pop().slots
        for gang in movers:
            if draft.full or not _moved(draft, gang, spot, ready, coming, start):
                break


def _moved(
    draft: Draft,
    gang: Sequence[Instance],
    spot: bool,
    ready: list[Instance],
    coming: list[Instance],
    start: Callable[[bool], bool],
) -> bool:
    """Stop a gang's machines if others with as many slots are ready, else see to it that they come.
    False: no more can be started."""
    lacking = sum(machine.slots for machine in gang)
    if sum(machine.slots for machine in ready) >= lacking:
        while lacking > 0:
            lacking -= ready.pop().slots
        where = "a spot" if spot else "an on-demand"
        for machine in gang:
            draft.stop(machine, f"its work goes on with {where} machine, as its deadline asks")
        return True
    lacking -= sum(machine.slots for machine in ready)
    ready.clear()
    while lacking > 0:
        if coming:
            lacking -= coming.pop().slots
        elif start(spot):
            lacking -= gang[0].slots  # of what size it is shows when it comes
        else:
            return False
    return True


def _spare(draft: Draft, pool: Pool, spot: bool) -> tuple[list[Instance], list[Instance]]:
    """Machines without work: those that are ready, and those that start."""
    its = [m for m in draft.state.of(pool.name) if m.spot == spot and m.counts and not m.works]
    ready = [m for m in its if m.state is InstanceState.JOINED and m.idle_since is not None]
    return ready, [m for m in its if m.state is not InstanceState.JOINED]


def _choose(task: TaskState, gang: Sequence[Instance], now: float, spot: bool) -> Choice:
    current: Choice = "idle"
    if gang:
        current = "spot" if any(machine.spot for machine in gang) else "on_demand"
    progress = Progress(
        total=task.total,
        done=task.done_by(now, bool(gang)),
        begun_at=task.begun_at,
        deadline_at=task.deadline_at,
        changeover=START,
    )
    return choose(progress, now, spot or current == "spot", current)
