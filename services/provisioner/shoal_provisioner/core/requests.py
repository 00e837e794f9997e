"""What people ask of pools: other limits, draining, going on. Obeyed or refused, and kept."""

from collections.abc import Mapping
from typing import Any

from shoal_contract.events import (
    PoolChangeRequested,
    PoolDrainRequested,
    PoolResumeRequested,
    Refused,
)
from shoal_contract.events.instance import PoolChanged, PoolConfigured, PoolDropped, PoolLimits
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import State

Request = PoolChangeRequested | PoolDrainRequested | PoolResumeRequested


def requested(draft: Draft, body: Request, pools: Mapping[str, Pool]) -> None:
    """Change a pool, or refuse with a reason. What is so already says nothing."""
    pool, history = pools.get(body.pool), draft.state.pool(body.pool)
    if isinstance(body, PoolDrainRequested) and body.node_id is not None:
        return  # one node is the scheduler's to drain
    if pool is None:
        _refuse(draft, body, f"there is no pool {body.pool}: there are {', '.join(pools)}")
        return
    changes, draining = history.changes, history.draining
    match body:
        case PoolChangeRequested():
            changes = _merged(changes, body)
            changed = in_force(pool, changes)
            if changed.min_instances > changed.max_instances:
                why = (
                    f"min_instances ({changed.min_instances}) must not exceed"
                    f" max_instances ({changed.max_instances})"
                )
                _refuse(draft, body, why)
                return
        case PoolDrainRequested():
            draining = True
        case PoolResumeRequested():
            draining = False
    if (changes, draining) != (history.changes, history.draining):
        draft.emit(PoolChanged(pool=body.pool, changes=changes, draining=draining, at=draft.now))


def configure(draft: Draft, pools: Mapping[str, Pool]) -> None:
    """Say how pools are described, if that is new."""
    for pool in pools.values():
        said = PoolConfigured(
            pool=pool.name,
            driver=pool.driver,
            provisioning=pool.provisioning,
            deadline_policy=pool.deadline_policy,
            kinds=[kind.name for kind in pool.its_kinds],
            zones=list(pool.its_zones),
            limits=PoolLimits(
                mode=pool.mode,
                min_instances=pool.min_instances,
                max_instances=pool.max_instances,
                per_hour=pool.budget.per_hour,
                per_day=pool.budget.per_day,
            ),
            at=draft.now,
        )
        known = draft.state.pool(pool.name).described
        if known is None or known.model_copy(update={"at": draft.now}) != said:
            draft.emit(said)
    for name, history in list(draft.state.pools.items()):
        if history.described is not None and name not in pools:
            draft.emit(PoolDropped(pool=name, at=draft.now))


def as_changed(pools: Mapping[str, Pool], state: State) -> Mapping[str, Pool]:
    """The pools with what people changed of them."""
    found: dict[str, Pool] = {}
    for name, pool in pools.items():
        history = state.pools.get(name)
        if history is not None and (history.draining or history.changes != PoolLimits()):
            pool = in_force(pool, history.changes)
            if history.draining:
                pool = pool.model_copy(update={"min_instances": 0, "max_instances": 0})
        found[name] = pool
    return found


def in_force(pool: Pool, changes: PoolLimits) -> Pool:
    """A pool with other limits than its description's."""
    given: dict[str, Any] = changes.given
    money: dict[str, Any] = {
        name: given.pop(name) for name in ("per_hour", "per_day") if name in given
    }
    return pool.model_copy(update={**given, "budget": pool.budget.model_copy(update=money)})


def _merged(before: PoolLimits, body: PoolChangeRequested) -> PoolLimits:
    kept = {} if body.reset else before.given
    return PoolLimits.model_validate({**kept, **body.changes.given})


def _refuse(draft: Draft, body: Request, why: str) -> None:
    draft.emit(
        Refused(decider="provisioner", message_type=body.type, subject_id=body.pool, reason=why)
    )
