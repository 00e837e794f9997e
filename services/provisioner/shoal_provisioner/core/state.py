"""What the provisioner knows. Plain models and dicts; only `evolve` changes them."""

from pydantic import BaseModel, Field

from shoal_contract.states import InstanceState


class Instance(BaseModel):
    """A machine that has not ended."""

    instance_id: str
    pool: str
    slots: int
    state: InstanceState = InstanceState.REQUESTED
    requested_at: float = 0
    """Unix seconds, as all times here."""
    idle_since: float | None = None
    """None: it works, or has not joined."""
    busy_since: float | None = None
    """When it got work, until the demand is noted anew."""

    @property
    def counts(self) -> bool:
        """Whether it is, or will be, there for work."""
        return self.state is not InstanceState.STOPPING


class PoolState(BaseModel):
    """One pool's history, as far as it matters."""

    made: int = 0
    """Machines requested so far; the next one's number."""
    missing_slots: int = 0
    failures: int = 0
    """In a row."""
    failed_at: float = 0


class State(BaseModel):
    """Everything."""

    pools: dict[str, PoolState] = Field(default_factory=dict)
    instances: dict[str, Instance] = Field(default_factory=dict)
    """Those that have not ended, in the order of request."""

    def pool(self, name: str) -> PoolState:
        """A pool's history; an empty one if it has none."""
        return self.pools.get(name) or PoolState()

    def of(self, pool: str) -> list[Instance]:
        """A pool's machines."""
        return [i for i in self.instances.values() if i.pool == pool]
