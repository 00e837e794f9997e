"""Why a trial waits, in one sentence."""

from itertools import islice, takewhile

from shoal_contract.events import Waiting
from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.batches import Entry, batch_of
from shoal_scheduler.core.models import Allocation, Month
from shoal_scheduler.core.months import following
from shoal_scheduler.core.placement import suits
from shoal_scheduler.core.state import State
from shoal_scheduler.core.tables import Line

COUNTED = 1000
"""How many that wait ahead are counted one by one."""


def explain(state: State, trial_id: str, now: float | None = None) -> str:
    """One honest sentence on a trial's place in the queue."""
    allocation = state.of_trial(trial_id)
    if allocation is None:
        return f"{trial_id} asks for no slots."
    if allocation.state is not AllocationState.QUEUED:
        where = ", ".join(run.placement.node_id for run in allocation.runs.values())
        return f"{trial_id} holds {_slots(allocation.slots)} on {where} ({allocation.state})."
    return sentence(state, allocation, classify(state, allocation, allocation.waiting), None, now)


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


def sentence(
    state: State, allocation: Allocation, why: Waiting, until: float | None, now: float | None
) -> str:
    """The reason in words and numbers."""
    index, resources, name = state.index, allocation.resources, allocation.trial_id
    need = _slots(allocation.least, resources.slot_type)
    if resources.node_labels:
        need += " on nodes with " + ", ".join(f"{k}={v}" for k, v in resources.node_labels.items())
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
            has = "has no machine yet" if not most else f"has {most} that could ever serve it"
            return f"{name} waits for {need}: pool {pools} {has}."
        case "leaving":
            return f"{name} waits for {need} of pool {pools}: others were told to leave them."
        case "reserved":
            return (
                f"{name} waits for {need} of pool {pools}: enough are free, but they are kept for"
                " who is ahead of it."
            )
        case "room" | "behind":
            return _room(state, allocation, need, pools, until, now)


def _room(
    state: State,
    allocation: Allocation,
    need: str,
    pools: str,
    until: float | None,
    now: float | None,
) -> str:
    pool = allocation.pools[-1]
    counts = _counts(state, allocation, pool)
    free, total = sum(free for free, _ in counts), sum(size for _, size in counts)
    ahead = _ahead(state, allocation, pool)
    who = (
        "it is first in line"
        if not ahead
        else f"{ahead} {'trial is' if ahead == 1 else 'trials are'} ahead of it"
    )
    if ahead >= COUNTED:
        who = f"{ahead} or more trials are ahead of it"
    words = f"{allocation.trial_id} waits for {need} of pool {pools}: {free} of {total} are free"
    if until is not None and now is not None:
        return f"{words}, and enough should be in {_time(until - now)}."
    return f"{words}, and {who}."


def _used(month: Month) -> str:
    """How much of the quota that is used up was used when that was said."""
    used = month.said_slot_hours if month.used_up.endswith("slot-hours") else month.said_money
    return f"{round(used, 2):.12g}"


def _largest(state: State, allocation: Allocation) -> int:
    """The most slots that one gang could have, were all free."""
    sizes = [size for pool in allocation.pools for _, size in _counts(state, allocation, pool)]
    return sum(sizes) if allocation.resources.mixed_types else max(sizes, default=0)


def _counts(state: State, allocation: Allocation, pool: str) -> list[tuple[int, int]]:
    """Free slots and all slots of each model that will do."""
    room, resources = state.index.room, allocation.resources
    models = [model for model in room.models(pool) if suits(resources, model)]
    if not resources.node_labels:
        return [(room.free(pool, model), room.size(pool, model)) for model in models]
    ready = [n for n in state.nodes.values() if n.pool == pool and n.state is NodeState.READY]
    nodes = [node for node in ready if node.suits(resources)]
    return [
        (
            sum(len(node.free(model)) for node in nodes),
            sum(
                slot.model == model and slot.number not in node.aside
                for node in nodes
                for slot in node.slots
            ),
        )
        for model in models
    ]


def _ahead(state: State, allocation: Allocation, pool: str) -> int:
    """Who waits in the pool, is older, and is in no line behind its own; up to `COUNTED`."""
    index = state.index
    own = batch_of(allocation, pool)
    count = 0
    for head in index.heads.get(pool, ()):
        count += _older(index.queues[head.batch], allocation.number)
        if head.batch == own or count >= COUNTED:
            break
    return min(count, COUNTED)


def _older(line: Line[Entry], number: float) -> int:
    """How many at a line's beginning are older; all, where age alone decides."""
    first, last = line.first(), line.last()
    if first is not None and last is not None and first.rank == last.rank:
        return line.place((first.rank, number))
    older = takewhile(lambda other: other.number < number, line)
    return sum(1 for _ in islice(older, COUNTED))


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _slots(count: int, model: str | None = None) -> str:
    word = "slot" if count == 1 else "slots"
    return f"{count} {model} {word}" if model else f"{count} {word}"
