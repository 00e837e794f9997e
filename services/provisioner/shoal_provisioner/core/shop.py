"""Buying machines for a pool: what may be had now, and what it can pay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shoal_provisioner.core import money
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.offers import Offer, best, offer_key
from shoal_provisioner.core.pools import Kind, Pool

FIRST_PAUSE = 2.0
"""Seconds without a new start after a failed one that says nothing of a place; doubles with each
failure in a row."""
LONGEST_PAUSE = 60.0
Fits = Callable[[Kind], bool]


@dataclass(slots=True)
class Shop:
    """One pool's purchases within one decision."""

    draft: Draft
    pool: Pool
    offers: Sequence[Offer]
    count: int = 0
    """Machines that are there for work, or will be."""
    _of: dict[str, int] = field(default_factory=dict)
    """Offer to the machines that it has."""
    _purse: money.Purse = field(init=False)

    def __post_init__(self) -> None:
        for instance in self.draft.state.of(self.pool.name):
            key = offer_key(instance.kind, instance.zone, instance.spot)
            self._of[key] = self._of.get(key, 0) + 1
            self.count += instance.counts
        self._purse = money.Purse.of(self.draft, self.pool)

    @property
    def open(self) -> bool:
        """Whether anything may be started now."""
        history = self.draft.state.pool(self.pool.name)
        if history.failures:
            doublings = min(history.failures - 1, 10)
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**doublings)
            if self.draft.now < history.failed_at + pause:
                return False
        return self.count < self.pool.max_instances and not self.draft.full

    def pick(self, spot: bool, fits: Fits | None = None, *, strictly: bool = False) -> Offer | None:
        """The best offer for kinds that fit: `spot` or on demand. Instead of spot, unless
        `strictly`, on demand when there was no spot for long."""
        if self.pool.provisioning == "on_demand":
            spot = strictly = False
        found = self._best(spot, fits)
        if found is None and spot and not strictly and self._fallback:
            found = self._best(False, fits)
        return found

    @property
    def _fallback(self) -> bool:
        short = self.draft.state.pool(self.pool.name).short_since
        after = self.pool.fallback_after
        return after is not None and short is not None and self.draft.now - short >= after

    def _best(self, spot: bool, fits: Fits | None) -> Offer | None:
        history = self.draft.state.pool(self.pool.name)
        fitting = [
            offer
            for offer in self.offers
            if offer.spot == spot
            and (fits is None or fits(offer.kind))
            and self._purse.affords(offer.price)
        ]
        return best(fitting, history.offers, self._of, self.pool, self.draft.now)

    def start(self, offer: Offer, reason: str, replaces: str | None = None) -> None:
        """Start a machine."""
        self.draft.start(self.pool.name, offer, reason, replaces)
        self.count += 1
        self._of[offer.key] = self._of.get(offer.key, 0) + 1
        self._purse.rate += offer.price
