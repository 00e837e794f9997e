"""Start what is missing and stop what idles."""

import math
from collections.abc import Mapping

from shoal_contract.events import InstanceFailed, InstanceRequested
from shoal_contract.states import InstanceState
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import Instance, PoolState

FIRST_PAUSE = 2.0
"""Seconds without a new start after a failed one; doubles with each failure in a row."""
LONGEST_PAUSE = 60.0
SETTLE = 5.0
"""Seconds in which it is known what a machine that got work leaves missing."""
_STARTING = (InstanceState.REQUESTED, InstanceState.STARTED)


def balance(draft: Draft, pools: Mapping[str, Pool]) -> None:
    """Bring every pool to what it should be; machines of a pool that is no more are stopped."""
    for instance in list(draft.state.instances.values()):
        if instance.counts and instance.pool not in pools:
            draft.stop(instance, f"the pool {instance.pool} is not configured any more")
    for pool in pools.values():
        _expire(draft, pool)
        _grow(draft, pool)
        _shrink(draft, pool)


def _expire(draft: Draft, pool: Pool) -> None:
    for instance in draft.state.of(pool.name):
        waited = draft.now - instance.requested_at
        if instance.state in _STARTING and waited > pool.max_starting_period:
            # It is forgotten here: the shell ends whatever machine runs that nobody knows.
            draft.emit(
                InstanceFailed(
                    pool=pool.name,
                    instance_id=instance.instance_id,
                    reason=f"its worker did not join within {pool.max_starting_period:g} s",
                    at=draft.now,
                )
            )


def pause(history: PoolState) -> float:
    """Seconds to wait after the last failure before the next start."""
    if not history.failures:
        return 0.0
    doublings = min(history.failures - 1, 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**doublings)


def _grow(draft: Draft, pool: Pool) -> None:
    history = draft.state.pool(pool.name)
    if history.failures and draft.now < history.failed_at + pause(history):
        return
    there = [instance for instance in draft.state.of(pool.name) if instance.counts]
    covered = sum(instance.slots for instance in there if _covers(instance, draft.now))
    missing = max(0, history.missing_slots - covered)
    wanted = len(there) + math.ceil(missing / pool.slots_per_instance)
    wanted = min(max(wanted, pool.min_instances), pool.max_instances)
    for _ in range(wanted - len(there)):
        reason = f"{missing} slots are missing" if missing else "the pool's minimum"
        draft.emit(
            InstanceRequested(
                pool=pool.name,
                instance_id=f"{pool.name}-{draft.state.pool(pool.name).made}",
                slots=pool.slots_per_instance,
                reason=reason,
                at=draft.now,
            )
        )


def _covers(instance: Instance, now: float) -> bool:
    """Whether a machine's slots serve demand that was noted: it comes, idles, or just got work.

    The word that it got work travels before the word of what is then still missing.
    """
    if instance.state in _STARTING or instance.idle_since is not None:
        return True
    return instance.busy_since is not None and now - instance.busy_since <= SETTLE


def _shrink(draft: Draft, pool: Pool) -> None:
    if draft.state.pool(pool.name).missing_slots:
        return
    there = [instance for instance in draft.state.of(pool.name) if instance.counts]
    spare = len(there) - pool.min_instances
    for instance in there:
        idle = instance.idle_since
        if spare > 0 and idle is not None and draft.now - idle > pool.max_idle_period:
            draft.stop(instance, f"idle for {draft.now - idle:.0f} s")
            spare -= 1
