"""How each pool is shared: the part of the settings that decides."""

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shoal_scheduler.core.placement import Fit, is_of


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolConfig(_Section):
    """One pool."""

    policy: Literal["fifo", "fair_share", "priority", "throughput"] = "fifo"
    fit: Literal["best", "worst"] = "best"
    mixed_types: bool = True
    """Whether a gang may have slots of several models, where its experiment accepts that."""
    preemption: bool = True
    """Whether what runs may have to yield."""
    min_run: float = Field(default=300, ge=0)
    """Seconds that a trial runs before it may have to yield."""
    resize_after: float = Field(default=600, ge=0)
    """Seconds that an elastic trial keeps its size before it may grow, or be made smaller again."""
    ageing: float = Field(default=0, ge=0)
    """`priority`: seconds of waiting that count as one level of priority; 0: none do."""
    share_by: Literal["experiment", "workspace"] = "experiment"
    """`fair_share` and `throughput`: who has a share."""
    round: float = Field(default=360, gt=0)
    """`throughput`: seconds between two looks at who runs where."""
    price: float = Field(default=0, ge=0)
    """Money that a slot costs an hour; 0: it is not known, and counts against no quota."""
    prices: dict[str, float] = Field(default_factory=dict)
    """The same for slots of one model (`Tesla V100-SXM2-16GB`, or a word of it)."""

    @cached_property
    def fitting(self) -> Fit:
        """How gangs are placed."""
        return Fit(worst=self.fit == "worst", mixed=self.mixed_types)

    def price_of(self, model: str) -> float:
        """Money that a slot of a model costs an hour."""
        if not self.prices:
            return self.price
        named = (p for words, p in self.prices.items() if is_of(words, model))
        return self.prices.get(model, next(named, self.price))


class Workspace(_Section):
    """What a workspace may use."""

    max_slots: int | None = Field(default=None, ge=0)
    """Slots at once, over all pools."""
    weight: float = Field(default=1, gt=0)
    """Its share of pools that are shared by workspace."""
    slot_hours: float | None = Field(default=None, ge=0)
    """A month (UTC), over all pools."""
    money: float | None = Field(default=None, ge=0)
    """A month (UTC), over all pools, at their prices."""
    hard: bool = False
    """Whether what runs has to leave, with a checkpoint, when a month's quota is used up. It
    stays otherwise, and where it may not be preempted; nothing new starts either way."""

    @property
    def by_month(self) -> bool:
        """Whether it has a quota by month."""
        return self.slot_hours is not None or self.money is not None


class Pools(_Section):
    """All pools and workspaces. Those not named have the defaults."""

    told: int = Field(default=10, ge=0)
    """Of each pool the first so many that wait are told anew, every ten seconds, why they do and
    when they are to start, if that is another answer."""
    pools: dict[str, PoolConfig] = Field(default_factory=dict)
    workspaces: dict[str, Workspace] = Field(default_factory=dict)

    def of(self, pool: str) -> PoolConfig:
        """A pool's settings."""
        return self.pools.get(pool, _DEFAULT)

    def quota(self, workspace: str) -> int | None:
        """Slots that a workspace may hold at once; None: any number."""
        found = self.workspaces.get(workspace)
        return found.max_slots if found else None


_DEFAULT = PoolConfig()
