"""How each pool is shared: the part of the settings that decides."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shoal_scheduler.core.placement import Fit


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
    """Seconds that an elastic trial keeps its size before it may grow."""
    ageing: float = Field(default=0, ge=0)
    """`priority`: seconds of waiting that count as one level of priority; 0: none do."""
    share_by: Literal["experiment", "workspace"] = "experiment"
    """`fair_share` and `throughput`: who has a share."""
    round: float = Field(default=360, gt=0)
    """`throughput`: seconds between two looks at who runs where."""

    @property
    def fitting(self) -> Fit:
        """How gangs are placed."""
        return Fit(worst=self.fit == "worst", mixed=self.mixed_types)


class Workspace(_Section):
    """What a workspace may use."""

    max_slots: int | None = Field(default=None, ge=0)
    """Slots at once, over all pools."""
    weight: float = Field(default=1, gt=0)
    """Its share of pools that are shared by workspace."""


class Pools(_Section):
    """All pools and workspaces. Those not named have the defaults."""

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
