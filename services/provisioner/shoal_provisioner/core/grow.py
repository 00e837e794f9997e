"""Start what is missing: for each type of slot that waiting gangs ask for, and for the minimum."""

from collections.abc import Mapping, Sequence
from functools import partial

from shoal_contract.resources import wished
from shoal_contract.states import InstanceState
from shoal_provisioner.core.deadlines import Needs
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.pools import Kind, Pool
from shoal_provisioner.core.shop import Shop
from shoal_provisioner.core.state import Instance

SETTLE = 5.0
"""Seconds in which it is known what a machine that got work leaves missing."""
STARTING = (InstanceState.REQUESTED, InstanceState.STARTED)


def grow(draft: Draft, pool: Pool, shop: Shop, need: Needs) -> None:
    """Start all that is missing, in one go."""
    there = [instance for instance in draft.state.of(pool.name) if instance.counts]
    kinds = {kind.name: kind for kind in pool.its_kinds}
    free: dict[str, int] = {}
    for instance in there:
        if _covers(instance, draft.now):
            free[instance.kind] = free.get(instance.kind, 0) + instance.slots
    late = need.waiting - sum(m.slots for m in there if not m.spot and not m.works)
    missing = draft.state.pool(pool.name).missing
    hopeless: set[str] = set()
    while shop.open:
        short = {t: n for t, n in shortage(missing, free, pool, kinds).items() if t not in hopeless}
        if not short and shop.count >= pool.min_instances:
            return
        wanted = next(iter(short), "")
        offer = shop.pick(late <= 0, partial(pool.suits, wish=wanted))
        if offer is None:
            if not short:
                return
            hopeless.add(wanted)  # for now; others may be had
            continue
        count = sum(short.values())
        reason = f"{count} slots are missing" if count else "the pool's minimum"
        if pool.provisioning == "spot" and not offer.spot:
            reason += ", a deadline is near" if late > 0 else ", and no spot machine is to be had"
        shop.start(offer, reason)
        free[offer.kind.name] = free.get(offer.kind.name, 0) + offer.slots
        late -= 0 if offer.spot else offer.slots


def shortage(
    missing: Mapping[str, int], free: Mapping[str, int], pool: Pool, kinds: Mapping[str, Kind]
) -> dict[str, int]:
    """What is missing by `wish` when `free` slots by kind serve first. Who wants a type is served
    first, then who wants much memory; the wish "" is served by any."""
    left, short = dict(free), dict[str, int]()
    for wanted in _choosy_first(missing):
        slots = missing[wanted]
        for name in left:
            if name not in kinds or pool.suits(kinds[name], wanted):
                taken = min(slots, left[name])
                slots, left[name] = slots - taken, left[name] - taken
        if slots:
            short[wanted] = slots
    return short


def _choosy_first(missing: Mapping[str, int]) -> Sequence[str]:
    def choosy(words: str) -> tuple[bool, int, str]:
        slot_type, memory = wished(words)
        return not slot_type, -memory, slot_type

    return sorted(missing, key=choosy)


def _covers(instance: Instance, now: float) -> bool:
    """Whether a machine's slots serve demand that was noted: it comes, idles, or just got work.

    The word that it got work travels before the word of what is then still missing.
    """
    if instance.state in STARTING or instance.idle_since is not None:
        return True
    return instance.busy_since is not None and now - instance.busy_since <= SETTLE
