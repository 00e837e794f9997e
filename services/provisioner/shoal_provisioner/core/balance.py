"""Start what is missing and stop what idles, too dear or too much."""

from collections.abc import Mapping, Sequence
from functools import partial

from shoal_contract.events import InstanceFailed, InstanceRequested, InstanceStopping
from shoal_contract.events.instance import PoolAdvised
from shoal_provisioner.core import money
from shoal_provisioner.core.deadlines import hand_over, needs
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.grow import STARTING, grow
from shoal_provisioner.core.offers import Offer, offer_key
from shoal_provisioner.core.pools import Kind, Pool
from shoal_provisioner.core.shed import victims
from shoal_provisioner.core.shop import Shop
from shoal_provisioner.core.state import Instance


def balance(draft: Draft, pools: Mapping[str, Pool], offers: Mapping[str, Sequence[Offer]]) -> None:
    """Bring every pool to what it should be; machines of a pool that is no more are stopped."""
    for instance in list(draft.state.instances.values()):
        if instance.counts and instance.pool not in pools:
            draft.stop(instance, f"the pool {instance.pool} is not configured any more")
    for pool in pools.values():
        if pool.mode == "observe":
            _advise(draft, pool, offers[pool.name])
        else:
            _balance_one(draft, pool, offers[pool.name])


def _balance_one(draft: Draft, pool: Pool, offers: Sequence[Offer]) -> None:
    _expire(draft, pool)
    if money.guard(draft, pool):
        for instance in draft.state.of(pool.name):
            if not draft.full:
                draft.stop(instance, "the budget is spent: checkpoint and release")
        return
    _shed(draft, pool)
    shop = Shop(draft, pool, offers)
    _replace(draft, pool, shop)
    need = needs(draft, pool, offers)
    grow(draft, pool, shop, need)
    hand_over(draft, pool, need, lambda spot: _move(shop, spot))
    _shrink(draft, pool)


def _advise(draft: Draft, pool: Pool, offers: Sequence[Offer]) -> None:
    """Say, once, what would be done."""
    trial = Draft.of(draft.state, draft.now)
    _balance_one(trial, pool, offers)
    counts: dict[str, int] = {}
    for event in trial.events:
        if isinstance(event, InstanceRequested):
            key = f"start {offer_key(event.kind, event.zone, event.spot)}"
        elif isinstance(event, InstanceStopping):
            key = f"stop {event.instance_id}"  # its reason may count seconds
        else:
            continue
        counts[key] = counts.get(key, 0) + 1
    would = "; ".join(f"{key} x {n}" if n > 1 else key for key, n in counts.items())
    if would != draft.state.pool(pool.name).advice:
        draft.emit(PoolAdvised(pool=pool.name, would=would, at=draft.now))


def _expire(draft: Draft, pool: Pool) -> None:
    for instance in draft.state.of(pool.name):
        waited = draft.now - instance.requested_at
        if instance.state in STARTING and waited > pool.max_starting_period:
            # It is forgotten here: the shell finds it running, and it is disowned then.
            money.close(draft, instance.instance_id)
            draft.emit(
                InstanceFailed(
                    pool=pool.name,
                    instance_id=instance.instance_id,
                    reason=f"its worker did not join within {pool.max_starting_period:g} s",
                    at=draft.now,
                )
            )


def _there(draft: Draft, pool: Pool) -> list[Instance]:
    return [instance for instance in draft.state.of(pool.name) if instance.counts]


def _shed(draft: Draft, pool: Pool) -> None:
    there, reason = _there(draft, pool), f"the pool may have {pool.max_instances} machines"
    if draft.state.pool(pool.name).draining:
        reason = "the pool is drained: checkpoint and release"
    for instance in victims(there, len(there) - pool.max_instances, draft.now):
        draft.stop(instance, reason)


def _replace(draft: Draft, pool: Pool, shop: Shop) -> None:
    """Start what takes the place of preempted machines, before their trials ask."""
    kinds = {kind.name: kind for kind in pool.its_kinds}
    for lost in draft.state.of(pool.name):
        if not lost.preempted or lost.replaced or not lost.works:
            continue
        alike = partial(_alike, kinds[lost.kind]) if lost.kind in kinds else None
        offer = shop.pick(lost.spot, alike) if shop.open else None
        if offer is None:
            return  # its trial will ask
        shop.start(offer, f"{lost.instance_id} is preempted", lost.instance_id)


def _alike(one: Kind, other: Kind) -> bool:
    return one.gpu == other.gpu


def _move(shop: Shop, spot: bool) -> bool:
    offer = shop.pick(spot, strictly=True) if shop.open else None
    if offer is not None:
        shop.start(offer, "for work with a deadline that is to move")
    return offer is not None


def _shrink(draft: Draft, pool: Pool) -> None:
    """Stop what idles, the dearest first."""
    if draft.state.pool(pool.name).missing_slots:
        return
    there = _there(draft, pool)
    spare = len(there) - pool.min_instances
    for instance in sorted(there, key=lambda machine: -machine.price):
        idle = instance.idle_since
        if spare > 0 and idle is not None and draft.now - idle > pool.max_idle_period:
            draft.stop(instance, f"idle for {draft.now - idle:.0f} s")
            spare -= 1
