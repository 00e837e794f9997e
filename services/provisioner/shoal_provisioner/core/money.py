"""Accounting: every second of every machine has a price and a use. Budgets act on it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shoal_contract.events.instance import BudgetCrossed, InstanceMetered, WorkLost
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.periods import SECONDS, Period, next_hour, period_of
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import Instance, PoolState, State

RELEASE = 60.0
"""Seconds for which machines cost on after they were told to stop, as expected."""


def meter(draft: Draft, instance_id: str, next_shares: Mapping[str, int] | None = None) -> None:
    """Account for a machine's time up to now. From now on its slots are held as `next_shares`
    says; None: as before. Cut at full hours, so that a sum over any hour or day is exact."""
    machine = draft.state.instances.get(instance_id)
    if machine is None or machine.metered_at is None:
        return
    since = machine.metered_at
    after = dict(machine.shares if next_shares is None else next_shares)
    while True:
        at = max(since, min(draft.now, next_hour(since)))
        last = at >= draft.now
        if at > since or (last and after != machine.shares):
            hours = (at - since) / 3600
            draft.emit(
                InstanceMetered(
                    pool=machine.pool,
                    instance_id=instance_id,
                    use=machine.use,
                    slots=machine.slots,
                    shares=machine.shares,
                    next_shares=after if last else machine.shares,
                    since=since,
                    at=at,
                    cost=hours * machine.price,
                    list_cost=hours * machine.list_price,
                    kind=machine.kind,
                    spot=machine.spot,
                )
            )
        if last:
            return
        since = at


def lose(draft: Draft, machine: Instance, allocation_id: str) -> None:
    """What an allocation did on a machine since its last checkpoint is lost."""
    seconds = draft.now - machine.saved.get(allocation_id, draft.now)
    if seconds > 0:
        share = machine.shares[allocation_id] / machine.slots
        draft.emit(
            WorkLost(
                pool=machine.pool,
                instance_id=machine.instance_id,
                allocation_id=allocation_id,
                seconds=seconds,
                cost=share * seconds / 3600 * machine.price,
                at=draft.now,
                share=share,
                list_cost=share * seconds / 3600 * machine.list_price,
                kind=machine.kind,
                spot=machine.spot,
            )
        )


def close(draft: Draft, instance_id: str) -> None:
    """A machine has ended: what ran on it is lost, and its account is closed."""
    machine = draft.state.instances.get(instance_id)
    if machine is not None:
        for name in list(machine.shares):
            lose(draft, machine, name)
        meter(draft, instance_id, {})


def meter_hours(draft: Draft) -> None:
    """Account for machines of which an hour has ended."""
    for name, machine in list(draft.state.instances.items()):
        if draft.full:
            return
        if machine.metered_at is not None and next_hour(machine.metered_at) <= draft.now:
            meter(draft, name)


def spent(state: State, pool: str, period: Period, now: float) -> float:
    """USD that a pool has spent in the current hour or day, what is not accounted for included."""
    current = period_of(period, now)
    known = state.pool(pool).spent.get(period)
    money = known.money if known is not None and known.period == current else 0.0
    begin = current * SECONDS[period]
    for machine in state.of(pool):
        if machine.metered_at is not None:
            money += max(0.0, now - max(begin, machine.metered_at)) / 3600 * machine.price
    return money


def rate(state: State, pool: str) -> float:
    """USD an hour that a pool's machines cost, or will once they run."""
    return sum(machine.price for machine in state.of(pool))


def line_crossed(state: PoolState, period: Period, now: float) -> float:
    """The highest line that was crossed in the current hour or day."""
    known = state.spent.get(period)
    return known.line if known is not None and known.period == period_of(period, now) else 0.0


def guard(draft: Draft, pool: Pool) -> bool:
    """Say which budget lines were crossed. Whether a cap is reached: then nothing may run."""
    capped = False
    for period, limit in _limits(pool):
        money = spent(draft.state, pool.name, period, draft.now)
        reserve = rate(draft.state, pool.name) * RELEASE / 3600
        last = line_crossed(draft.state.pool(pool.name), period, draft.now)
        crossed = [line for line in pool.budget.lines if money >= line * limit]
        line = 1.0 if money + reserve >= limit else max(crossed, default=0.0)
        if line > last:
            draft.emit(
                BudgetCrossed(
                    pool=pool.name,
                    period=period,
                    share=line,
                    spent=money,
                    limit=limit,
                    at=draft.now,
                )
            )
        capped = capped or max(line, last) >= 1
    return capped


@dataclass(slots=True)
class Purse:
    """What a pool can pay."""

    rate: float
    """USD an hour of all its machines."""
    left: float
    """USD until the nearest cap."""
    fastest: float
    """USD an hour that it may cost at most."""

    @classmethod
    def of(cls, draft: Draft, pool: Pool) -> "Purse":
        """As things are now."""
        left = [
            limit - spent(draft.state, pool.name, period, draft.now)
            for period, limit in _limits(pool)
        ]
        fastest = pool.budget.per_hour if pool.budget.per_hour is not None else math.inf
        return cls(rate(draft.state, pool.name), min(left, default=math.inf), fastest)

    def affords(self, price: float) -> bool:
        """Whether one more machine may be started: all together must not cost more than `per_hour`
        an hour, and must be able to run for two minutes."""
        faster = self.rate + price
        return faster <= self.fastest and faster * 2 * RELEASE / 3600 < self.left


def _limits(pool: Pool) -> list[tuple[Period, float]]:
    found: list[tuple[Period, float | None]] = [
        ("hour", pool.budget.per_hour),
        ("day", pool.budget.per_day),
    ]
    return [(period, limit) for period, limit in found if limit is not None]
