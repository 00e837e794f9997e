"""Machines that carry our mark and are in no record: kept if they are of use, else stopped.

That happens when records were lost, or when a start was thought to have failed. No orphan stays:
an orphan is money. What carries no mark of ours never gets here.
"""

from collections.abc import Mapping, Sequence

from shoal_contract.events import NodeAdmitted
from shoal_contract.events.instance import InstanceAdopted, InstanceDisowned
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.evolve import number_of
from shoal_provisioner.core.messages import MachineFound
from shoal_provisioner.core.offers import Offer, offer_key
from shoal_provisioner.core.pools import Pool


def found(
    draft: Draft,
    body: MachineFound,
    pools: Mapping[str, Pool],
    offers: Mapping[str, Sequence[Offer]],
) -> None:
    """A driver found a machine: it is adopted if its pool needs it."""
    if body.instance_id in draft.state.instances:
        return
    pool, reason = pools.get(body.pool), "its pool is not configured"
    if pool is not None and pool.mode == "observe":
        return
    key = offer_key(body.kind, body.zone, body.spot)
    fitting = [offer for offer in offers.get(body.pool, ()) if offer.key == key]
    if pool is not None:
        if not _new(draft, body.pool, body.instance_id):
            reason = "its record is closed"
        elif not _room(draft, pool) or not _wanted(draft, pool):
            reason = "nothing waits for it"
        elif not fitting:
            reason = "it is of no kind that the pool has"
        else:
            _adopt(draft, pool, body.instance_id, fitting[0])
            return
    draft.emit(
        InstanceDisowned(
            pool=body.pool,
            instance_id=body.instance_id,
            zone=body.zone,
            reason=reason,
            at=draft.now,
            spot=body.spot,
            price=fitting[0].price if fitting else 0.0,
            list_price=fitting[0].list_price if fitting else 0.0,
        )
    )


def adopt(draft: Draft, body: NodeAdmitted, pool: Pool, offers: Sequence[Offer]) -> None:
    """A worker joined on a machine of ours that is in no record: it may have work, so it stays."""
    name = body.instance_id or ""
    if _new(draft, pool.name, name) and _room(draft, pool):
        slots = len(body.slots)
        likely = [offer for offer in offers if offer.slots == slots] or list(offers)
        _adopt(draft, pool, name, likely[0], slots)


def _new(draft: Draft, pool: str, instance_id: str) -> bool:
    """Whether an id is one of ours that is in no record, not even a closed one."""
    return number_of(pool, instance_id) >= draft.state.pool(pool).made


def _room(draft: Draft, pool: Pool) -> bool:
    there = sum(machine.counts for machine in draft.state.of(pool.name))
    return pool.mode == "act" and there < pool.max_instances


def _wanted(draft: Draft, pool: Pool) -> bool:
    its = [machine for machine in draft.state.of(pool.name) if machine.counts]
    free = sum(machine.slots for machine in its if not machine.works)
    missing = draft.state.pool(pool.name).missing_slots
    return missing > free or len(its) < pool.min_instances


def _adopt(draft: Draft, pool: Pool, instance_id: str, offer: Offer, slots: int = 0) -> None:
    draft.emit(
        InstanceAdopted(
            pool=pool.name,
            instance_id=instance_id,
            slots=slots or offer.slots,
            kind=offer.kind.name,
            zone=offer.zone,
            spot=offer.spot,
            price=offer.price,
            list_price=offer.list_price,
            at=draft.now,
        )
    )
