"""The `resources` section of an experiment file.

Reference for the names of Determined's dialect:
https://docs.determined.ai/latest/reference/training/experiment-config-reference.html#resources
"""

from pydantic import Field, model_validator

from shoal_contract.base import Id, Strict


class SlotRange(Strict):
    """How many slots a trial can use: it may be resized within these at a checkpoint."""

    min: int = Field(ge=1)
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _order(self) -> "SlotRange":
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is less than min ({self.min})")
        return self


def wish(slot_type: str | None, slot_memory: int | None) -> str:
    """Which slots will do, in a word: their type, and GB of memory that they have at least.

    >>> [wish("A100", 80), wish("A100", None), wish(None, 24), wish(None, None)]
    ['A100>=80', 'A100', '>=24', '']
    """
    return f"{slot_type or ''}>={slot_memory}" if slot_memory else slot_type or ""


def wished(words: str) -> tuple[str, int]:
    """The type (empty: any) and the memory (0: any) in a `wish`.

    >>> [wished("A100>=80"), wished("A100"), wished("")]
    [('A100', 80), ('A100', 0), ('', 0)]
    """
    slot_type, _, memory = words.partition(">=")
    return slot_type, int(memory) if memory.isdecimal() else 0


class Resources(Strict):
    """What each trial needs, and the experiment's place among others."""

    slots_per_trial: int = Field(default=1, ge=1)
    slots: SlotRange | None = None
    """Instead of `slots_per_trial`: a range, for trials that can be resized."""
    resource_pool: str = "default"
    resource_pools: list[str] = Field(default_factory=list)
    """Instead of `resource_pool`: pools in order of preference."""
    burst_after: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Seconds to wait in a pool before the next of `resource_pools` may serve as well."""
    priority: int = Field(default=42, ge=1, le=99)
    """1 to 99, smaller first."""
    weight: float = Field(default=1, gt=0, allow_inf_nan=False)
    max_slots: int | None = Field(default=None, ge=1)
    """Slots that the experiment may hold at once."""
    slot_type: str | None = Field(default=None, pattern=r"^[^<>=]*$")
    """Only slots of this model (`Tesla V100-SXM2-16GB`), or whose model has this word or words. How
    much memory they have is for `slot_memory` to say."""
    slot_memory: int | None = Field(default=None, ge=1)
    """Only slots with so many GB of memory or more (10^9 bytes, rounded, as makers count)."""
    mixed_types: bool = False
    """Whether a gang may have slots of several models."""
    single_node: bool = False
    """Whether a gang must be on one node."""
    avoid_nodes: list[str] = Field(default_factory=list)
    """Ids of nodes that are not to be used."""
    node_labels: dict[str, str] = Field(default_factory=dict)
    """Only nodes that have all of these labels. No machine is started for such a trial: labels are
    of machines that are there."""
    preemptible: bool = True
    """Whether the slots may be taken back for others while a trial runs."""
    workspace: Id = "default"
    """Whose quota the slots count against, and whose share where a pool is shared by workspace."""

    @property
    def least(self) -> int:
        """The fewest slots that a trial runs on."""
        return self.slots.min if self.slots is not None else self.slots_per_trial

    @property
    def most(self) -> int:
        """The most slots that a trial can use."""
        return self.slots.max if self.slots is not None else self.slots_per_trial

    @property
    def wish(self) -> str:
        """Which slots will do; see `wish`."""
        return wish(self.slot_type, self.slot_memory)

    @property
    def choosy(self) -> bool:
        """Whether some nodes may not do, whatever the type of their slots."""
        return bool(self.avoid_nodes or self.node_labels or self.slot_memory)

    @property
    def pools(self) -> list[str]:
        """The pools that may serve, in order of preference."""
        return list(dict.fromkeys(self.resource_pools)) or [self.resource_pool]
