"""Quotas by calendar month (UTC): what each workspace used, and what is left of it.

What ended is kept in the state by `evolve`; what runs is counted up to a Tick. A run that goes on
from one month into the next counts in each with the part that lies in it.
"""

from collections.abc import Iterable
from dataclasses import replace

from shoal_contract.events import QuotaChanged
from shoal_contract.states import AllocationState, StopReason
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.models import Month
from shoal_scheduler.core.months import month_of
from shoal_scheduler.core.pools import Workspace
from shoal_scheduler.core.state import State
from shoal_scheduler.core.turn import MOST


def look(draft: Draft, state: State) -> None:
    """Say whose quota of this month is used up, or no more; take back what `hard` ones hold.

    `state` is what the draft began with: plain tables, to be read only.
    """
    pools = state.index.pools
    limited = (name for name, quota in pools.workspaces.items() if quota.by_month)
    said = (name for name, month in state.months.items() if month.used_up)
    names = sorted({*limited, *said})
    uses = _uses(state, names, draft.now) if names else {}
    for name in names:
        use = uses[name]
        used_up = _used_up(pools.workspaces.get(name), use)
        if used_up != state.index.used_up(name):
            draft.emit(
                QuotaChanged(
                    workspace=name,
                    month=use.month,
                    used_up=used_up,
                    slot_hours=use.slot_seconds / 3600,
                    money=use.money,
                )
            )
        if used_up and pools.workspaces[name].hard:
            _take_back(draft, state, name)


def _uses(state: State, limited: Iterable[str], now: float) -> dict[str, Month]:
    month = month_of(now)
    uses = {name: Month(month=month) for name in limited}
    for name in uses:
        before = state.months.get(name)
        if before is not None and before.month == month:
            uses[name] = replace(before)
    for allocation_id in state.index.busy.values():
        allocation = state.allocations[allocation_id]
        use = uses.get(allocation.resources.workspace)
        if use is not None:
            use.add(allocation, now)
    return uses


def _used_up(quota: Workspace | None, use: Month) -> str:
    """What of a quota is used up, in words; empty: nothing is."""
    if quota is None:
        return ""
    if quota.slot_hours is not None and use.slot_seconds >= quota.slot_hours * 3600:
        return f"{quota.slot_hours:g} slot-hours"
    if quota.money is not None and use.money >= quota.money:
        return f"{quota.money:g} of money"
    return ""


def _take_back(draft: Draft, state: State, workspace: str) -> None:
    """Ask for the slots that a workspace holds, as far as they may be asked for."""
    for allocation_id in list(state.index.busy.values()):
        if len(draft.events) >= MOST:
            return
        allocation = draft.state.allocations[allocation_id]
        mine = allocation.resources.workspace == workspace
        granted = allocation.state is AllocationState.GRANTED
        if mine and granted and allocation.resources.preemptible:
            draft.release(allocation_id, StopReason.PREEMPTED)
