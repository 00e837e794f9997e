"""Why a trial waits, in one sentence."""

from shoal_contract.events import Waiting
from shoal_contract.states import AllocationState
from shoal_scheduler.core.batches import batch_of
from shoal_scheduler.core.forecast import Start
from shoal_scheduler.core.models import Allocation, Month
from shoal_scheduler.core.months import following
from shoal_scheduler.core.placement import suits
from shoal_scheduler.core.reach import largest, nodes
from shoal_scheduler.core.state import State

COUNTED = 1000
"""How many that wait ahead are counted one by one."""


def explain(state: State, trial_id: str, start: Start | None = None) -> str:
    """One honest sentence on a trial's place in the queue. `start`: when it is to start."""
    allocation = state.of_trial(trial_id)
    if allocation is None:
        return f"{trial_id} asks for no slots."
    if allocation.state is not AllocationState.QUEUED:
        where = ", ".join(run.placement.node_id for run in allocation.runs.values())
        return f"{trial_id} holds {_slots(allocation.slots)} on {where} ({allocation.state})."
    return sentence(state, allocation, classify(state, allocation, allocation.waiting), start)


def classify(state: State, allocation: Allocation, found: Waiting | None) -> Waiting:
    """Why an allocation waits: what can be seen at once; else what the policy `found`."""
    index = state.index
    if allocation.trial_id in index.busy:
        return "previous"
    if index.share(allocation.experiment_id).hold:
        return "held"
    if found in ("leaving", "reserved"):
        return found
    batch = batch_of(allocation, allocation.pools[0])
    limit = index.limit(allocation.experiment_id, allocation.resources.max_slots)
    held = index.held.get(allocation.experiment_id, 0)
    if limit is not None and held + allocation.least > limit:
        return "max_slots"
    if index.allowance(batch) < allocation.least:
        return "quota"
    if _largest(state, allocation) < allocation.least:
        return "machines"
    return "room" if found == "room" else "behind"


def sentence(state: State, allocation: Allocation, why: Waiting, start: Start | None) -> str:
    """The reason in words and numbers. It says whose end it waits for, not when that is."""
    index, resources, name = state.index, allocation.resources, allocation.trial_id
    need = _slots(allocation.least, resources.slot_type)
    if resources.slot_memory:
        need += f" of {resources.slot_memory} GB or more"
    if resources.node_labels:
        need += " on nodes with " + ", ".join(f"{k}={v}" for k, v in resources.node_labels.items())
    if resources.single_node and allocation.least > 1:
        need += " on one node"
    pools = " or ".join(allocation.pools)
    held = index.held.get(allocation.experiment_id, 0)
    match why:
        case "previous":
            other = state.allocations[index.busy[name]]
            return f"{name} waits until its attempt {other.task.attempt} has left its slots."
        case "held":
            return f"{name} waits: a person holds its experiment."
        case "max_slots":
            limit = index.limit(allocation.experiment_id, resources.max_slots)
            return (
                f"{name} waits: its experiment holds {held} of the {limit} slots that it may hold,"
                f" and this trial needs {allocation.least}."
            )
        case "quota" if index.used_up(resources.workspace):
            month = index.months[resources.workspace]
            return (
                f"{name} waits: workspace {resources.workspace} has used {_used(month)} of its"
                f" {month.used_up} of {month.month}; the next month begins on"
                f" {following(month.month)}-01 at 00:00 UTC."
            )
        case "quota":
            used = index.used.get(resources.workspace, 0)
            quota = index.pools.quota(resources.workspace)
            return (
                f"{name} waits: workspace {resources.workspace} holds {used} of its {quota} slots,"
                f" and this trial needs {allocation.least}."
            )
        case "machines":
            most = _largest(state, allocation)
            there = any(index.room.models(pool) for pool in allocation.pools)
            has = (
                f"has {most or 'none'} that could ever serve it" if there else "has no machine yet"
            )
            return f"{name} waits for {need}: pool {pools} {has}."
        case "leaving":
            return f"{name} waits for {need} of pool {pools}: others were told to leave them."
        case "reserved":
            return (
                f"{name} waits for {need} of pool {pools}: enough are free, but they are kept for"
                " who is ahead of it."
            )
        case "room" | "behind":
            return _room(state, allocation, need, pools, start)


def _room(state: State, allocation: Allocation, need: str, pools: str, start: Start | None) -> str:
    counts = [count for pool in allocation.pools for count in _counts(state, allocation, pool)]
    free, total = sum(free for free, _ in counts), sum(size for _, size in counts)
    ahead = _ahead(state, allocation, allocation.pools[-1])
    who = (
        "it is first in line"
        if not ahead
        else f"{ahead} {'trial is' if ahead == 1 else 'trials are'} ahead of it"
    )
    if ahead >= COUNTED:
        who = f"{ahead} or more trials are ahead of it"
    words = f"{allocation.trial_id} waits for {need} of pool {pools}: {free} of {total} are free"
    return f"{words}, and {who}{_after(start)}."


def _after(start: Start | None) -> str:
    """Whose ends it waits for, the last of them first."""
    if start is None or not start.after:
        return ""
    last, *others = start.after
    if not others:
        return f"; it should start when {last} has ended"
    more = others[0] if len(others) == 1 else f"{len(others)} others"
    return f"; it should start when {last} and {more} have ended"


def _used(month: Month) -> str:
    """How much of the quota that is used up was used when that was said."""
    used = month.said_slot_hours if month.used_up.endswith("slot-hours") else month.said_money
    return f"{round(used, 2):.12g}"


def _largest(state: State, allocation: Allocation) -> int:
    """The most slots that one gang could have in any of its pools, were all free."""
    return max(largest(state, allocation.resources, pool) for pool in allocation.pools)


def _counts(state: State, allocation: Allocation, pool: str) -> list[tuple[int, int]]:
    """Free slots and all slots of each model that will do."""
    room, resources = state.index.room, allocation.resources
    models = [model for model in room.models(pool) if suits(resources, model)]
    if not resources.choosy:
        return [(room.free(pool, model), room.size(pool, model)) for model in models]
    found = {model: [0, 0] for model in models}
    for node in nodes(state, resources, pool):
        for model, (usable, free, _) in node.counts(()).items():
            if model in found:
                found[model][0] += free
                found[model][1] += usable
    return [(free, usable) for free, usable in found.values()]


def _ahead(state: State, allocation: Allocation, pool: str) -> int:
    """How many in a pool are served before it, of those that may start; up to `COUNTED`. Who has a
    share takes turns with the others: of each that is further below its own, one counts."""
    index = state.index
    own, batch = index.entry(allocation, pool), batch_of(allocation, pool)
    heads = index.heads.get(pool)
    if heads is None:
        return 0
    if index.pools.of(pool).policy == "fair_share":
        mine = index.head(batch)
        before = len(heads) if mine is None else heads.place(mine)
        return min(before + index.queues[batch].place(own), COUNTED)
    count = 0
    for head in heads:
        if count >= COUNTED or head[:3] >= own:
            break
        count += min(index.queues[head.batch].place(own), head.ready)
    return min(count, COUNTED)


def _slots(count: int, model: str | None = None) -> str:
    word = "slot" if count == 1 else "slots"
    return f"{count} {model} {word}" if model else f"{count} {word}"
