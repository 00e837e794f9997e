"""Where a gang goes: on as few nodes as possible, leaving the fewest free slots behind."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from shoal_contract.resources import Resources
from shoal_scheduler.core.room import Room, Share, Spot

_WORD = re.compile(r"[^\W_]+")

Able = Callable[[str], bool]
"""Whether a node will do."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a pool is filled."""

    worst: bool = False
    """One node: the emptiest instead of the one that is left with the fewest free slots."""
    mixed: bool = True
    """Whether gangs that accept slots of several models may get them."""


def place(
    room: Room,
    pool: str,
    resources: Resources,
    slots: int,
    may: Able,
    able: Able,
    fit: Fit,
    model: str = "",
) -> list[Share]:
    """The nodes of a gang of `slots`, in the order of ranks; empty if it fits nowhere.

    A gang has slots of one model (`model`, if given), unless it accepts a mix. One that fits on a
    node goes to the node that is then left with the fewest free slots; a larger one takes the
    emptiest nodes first, whole ones before others, and the rest goes where it fits best. Of equal
    nodes the one that joined first is taken. Only nodes that it `may` use count. The ranks meet at
    the first node, which must be `able` to have them.
    """
    models = [m for m in room.models(pool) if suits(resources, m) and model in ("", m)]
    best: list[Share] = []
    rank: tuple[int, int, int] | None = None
    for name in models:
        found = _of_model(room, pool, name, resources, slots, may, able, fit)
        if found:
            last = room.at(*found[-1][:2]) - found[-1][2]
            key = (len(found), -last if fit.worst else last, room.number(*found[0][:2]))
            if rank is None or key < rank:
                best, rank = found, key
    mixed = resources.mixed_types and fit.mixed and not resources.single_node
    if not best and mixed and len(models) > 1:
        best = _mixed(room, pool, models, slots, may, able)
    return best


def suits(resources: Resources, model: str) -> bool:
    """Whether slots of a model will do."""
    return resources.slot_type is None or is_of(resources.slot_type, model)


def is_of(wanted: str, model: str) -> bool:
    """Whether a model is what somebody calls `wanted`: its name, or words of it as they stand
    there.

    >>> [is_of(name, "NVIDIA A100-SXM4-40GB") for name in ("A100", "a100-sxm4", "A10", "100")]
    [True, True, False, False]
    """
    return wanted == model or _words(wanted) in _words(model)


@lru_cache(1024)
def _words(name: str) -> str:
    return f" {' '.join(_WORD.findall(name.lower()))} "


def _of_model(
    room: Room,
    pool: str,
    model: str,
    resources: Resources,
    slots: int,
    may: Able,
    able: Able,
    fit: Fit,
) -> list[Share]:
    if room.free(pool, model) < slots:
        return []
    spot = _one(room, pool, model, slots, fit.worst, lambda n: may(n) and able(n))
    if spot is not None:
        return [(spot.node_id, model, slots)]
    if resources.single_node:
        return []
    shares = _several(room, pool, model, slots, may)
    for at, share in enumerate(shares):
        if able(share[0]):
            return [share, *shares[:at], *shares[at + 1 :]]
    return _several(room, pool, model, slots, lambda n: may(n) and able(n))


def _one(room: Room, pool: str, model: str, slots: int, worst: bool, may: Able) -> Spot | None:
    return next(room.fitting(pool, model, slots, worst, may), None)


def _several(room: Room, pool: str, model: str, slots: int, may: Able) -> list[Share]:
    chosen: dict[str, int] = {}
    left = slots
    for spot in room.largest(pool, model):
        if not may(spot.node_id):
            continue
        if spot.free >= left:
            last = _one(room, pool, model, left, False, lambda n: may(n) and n not in chosen)
            if last is not None:
                chosen[last.node_id] = left
                return [(name, model, count) for name, count in chosen.items()]
        chosen[spot.node_id] = spot.free
        left -= spot.free
    return []


def _mixed(
    room: Room, pool: str, models: list[str], slots: int, may: Able, able: Able
) -> list[Share]:
    shares: list[Share] = []
    left = slots
    spots = ((m, spot) for m in models for spot in room.largest(pool, m))
    ranked = sorted(spots, key=lambda found: (-found[1].free, found[1].taken, found[1].number))
    for model, spot in ranked:
        if left and may(spot.node_id):
            shares.append((spot.node_id, model, min(left, spot.free)))
            left -= shares[-1][2]
    first = next((at for at, share in enumerate(shares) if able(share[0])), None)
    if left or first is None:
        return []
    return [shares[first], *shares[:first], *shares[first + 1 :]]
