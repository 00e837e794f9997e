"""What a pool may start, and which of it is best: price, obtainability and expected loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shoal_provisioner.core.pools import Kind, Pool
from shoal_provisioner.core.prices import Prices, region_of
from shoal_provisioner.core.state import Past

START = 180.0
"""Seconds that a machine is paid before it works, as expected."""
HALF_LIFE = 6 * 3600.0
"""Of what was seen of preemptions."""
PRIOR_HOURS, PRIOR_PREEMPTIONS = 4.0, 0.2
"""What is believed of a place that was never tried: a preemption in 20 hours."""
FIRST_PAUSE: Mapping[str, float] = {"stock_out": 15.0, "quota": 60.0}
"""Seconds for which a place without stock or quota is left alone; doubles with each failure."""
LONGEST_PAUSE: Mapping[str, float] = {"stock_out": 300.0, "quota": 900.0}


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of machine in a zone, spot or on demand."""

    kind: Kind
    zone: str
    spot: bool
    slots: int
    price: float
    """USD an hour, of the machine."""
    list_price: float

    @property
    def key(self) -> str:
        """Its name in events and in the state."""
        return offer_key(self.kind.name, self.zone, self.spot)


def offer_key(kind: str, zone: str, spot: bool) -> str:
    """The name of an offer."""
    return f"{kind}/{zone}/{'spot' if spot else 'on_demand'}"


def offers_of(pool: Pool, prices: Prices) -> list[Offer]:
    """All that a pool may ever start, in the order of its description."""
    found: list[Offer] = []
    for kind in pool.its_kinds:
        for zone in pool.its_zones:
            price = prices.of(kind, zone)
            listed = price.on_demand if price is not None else 0.0
            slots = pool.slots_of(kind)
            if pool.provisioning == "spot":
                spot = price.spot if price is not None and price.spot is not None else listed
                found.append(Offer(kind, zone, True, slots, spot, listed))
            found.append(Offer(kind, zone, False, slots, listed, listed))
    return found


def aged(past: Past, now: float) -> Past:
    """What was seen, with less weight as time goes by."""
    factor = 0.5 ** (max(0.0, now - past.aged_at) / HALF_LIFE)
    return past.model_copy(
        update={
            "preemptions": past.preemptions * factor,
            "hours": past.hours * factor,
            "aged_at": max(now, past.aged_at),
        }
    )


def preemptions_an_hour(past: Past) -> float:
    """How often a spot machine there is expected to be taken back."""
    seen = (past.preemptions + PRIOR_PREEMPTIONS) / (past.hours + PRIOR_HOURS)
    return max(seen, 3600.0 / past.uptime) if past.uptime else seen


def cost_of(offer: Offer, past: Past, pool: Pool) -> float:
    """USD an hour and slot, with what preemptions will waste, and what is likely not to be had
    made dear accordingly."""
    cost = offer.price / offer.slots
    if not offer.spot:
        return cost
    lost = (pool.checkpoint_period / 2 + START) / 3600
    cost *= 1 + preemptions_an_hour(past) * lost
    return cost / max(past.obtainability, 0.05)


def paused(offer: Offer, pasts: Mapping[str, Past], now: float) -> bool:
    """Whether an offer is left alone after failures: a zone without stock, a region without
    quota."""
    for key, past in pasts.items():
        if not past.failures or past.cause not in FIRST_PAUSE:
            continue
        kind, zone, how = key.split("/")
        same = key == offer.key or (
            past.cause == "quota"
            and kind == offer.kind.name
            and region_of(zone) == region_of(offer.zone)
            and (how == "spot") == offer.spot
        )
        if same and now < past.failed_at + pause_of(past):
            return True
    return False


def pause_of(past: Past) -> float:
    """Seconds for which an offer is left alone."""
    doublings = min(past.failures - 1, 20)
    return min(LONGEST_PAUSE[past.cause], FIRST_PAUSE[past.cause] * 2.0**doublings)


def best(
    offers: Iterable[Offer],
    pasts: Mapping[str, Past],
    there: Mapping[str, int],
    pool: Pool,
    now: float,
) -> Offer | None:
    """The best of what may be tried now; among equals (to the cent) the one with fewest machines,
    so that one zone's bad day does not take all."""
    open_: Sequence[Offer] = [offer for offer in offers if not paused(offer, pasts, now)]
    if not open_:
        return None

    def rank(offer: Offer) -> tuple[float, int]:
        past = aged(pasts.get(offer.key, Past()), now)
        return (round(cost_of(offer, past, pool), 2), there.get(offer.key, 0))

    return min(open_, key=rank)
