"""What a pool is allowed to do, and with which machines."""

import re
from typing import Literal

from pydantic import Field, model_validator

from shoal_contract.base import Id, Strict
from shoal_contract.resources import wished

GPUS_BUILT_IN = ("a2-", "a3-", "a4-", "g2-", "g4-")
"""Machine families whose GPUs are part of the machine type.
https://cloud.google.com/compute/docs/gpus"""
GPU_MEMORY = {
    "nvidia-tesla-k80": 12, "nvidia-tesla-p4": 8, "nvidia-tesla-p100": 16, "nvidia-tesla-v100": 16,
    "nvidia-tesla-t4": 16, "nvidia-l4": 24, "nvidia-tesla-a100": 40, "nvidia-a100-80gb": 80,
    "nvidia-h100-80gb": 80, "nvidia-h100-mega-80gb": 80, "nvidia-h200-141gb": 141,
    "nvidia-b200": 180, "nvidia-rtx-pro-6000": 96,
}  # fmt: skip
"""GB of each GPU that Google has, by the accelerator's name.
https://cloud.google.com/compute/docs/gpus"""
_ZONE = re.compile(r"^[a-z]+-[a-z]+\d+-[a-z]$")
_GCE_NAME = re.compile(r"^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$")


class Price(Strict):
    """USD an hour."""

    on_demand: float = Field(ge=0)
    spot: float | None = Field(default=None, ge=0)


class Kind(Strict):
    """One kind of machine."""

    machine_type: str
    gpu: str | None = None
    """The accelerator's name, e.g. `nvidia-tesla-v100`."""
    gpu_count: int = Field(default=0, ge=0)
    slots: int = Field(default=0, ge=0)
    """What it offers; left out: one for each GPU, else the pool's `slots_per_instance`."""
    slot_memory: int = Field(default=0, ge=0)
    """GB of each slot; left out: as Google's GPUs have it."""
    price: Price | None = None
    """Of the whole machine; left out: as the table of prices has it."""

    @property
    def name(self) -> str:
        """What it is called in events and reasons."""
        return f"{self.machine_type}-{self.gpu_count}x{self.gpu}" if self.gpu else self.machine_type

    @property
    def built_in(self) -> bool:
        """Whether its GPUs are part of the machine type."""
        return self.machine_type.startswith(GPUS_BUILT_IN)

    @model_validator(mode="after")
    def _whole(self) -> "Kind":
        if (self.gpu is None) != (self.gpu_count == 0):
            raise ValueError("`gpu` and `gpu_count` belong together: give both or neither")
        if self.built_in and self.gpu is None:
            raise ValueError(f"{self.machine_type} has GPUs built in: say which with `gpu`")
        return self


class Budget(Strict):
    """USD that a pool may spend in a clock hour and in a day (UTC). At the cap its machines
    checkpoint and are released."""

    per_hour: float | None = Field(default=None, gt=0)
    per_day: float | None = Field(default=None, gt=0)
    lines: tuple[float, ...] = (0.5, 0.8, 0.95)
    """Shares at which an event is written before the cap."""

    @model_validator(mode="after")
    def _ordered(self) -> "Budget":
        if any(not 0 < line < 1 for line in self.lines) or list(self.lines) != sorted(self.lines):
            raise ValueError("`lines` must be shares between 0 and 1, rising")
        return self


class Gcp(Strict):
    """Where a pool's machines are made in Google Cloud."""

    project: str
    network: str = "default"
    subnetworks: dict[str, str] = Field(default_factory=dict)
    """Region to its subnetwork; needed for a network that does not make its own."""
    service_account: str
    image: str = "projects/deeplearning-platform-release/global/images/family/common-cu124"
    disk_gb: int = Field(default=100, ge=10)
    disk_type: str = "pd-balanced"
    tags: tuple[str, ...] = ("shoal-worker",)
    external_ip: bool = False
    worker_nats_url: str
    """The address at which its workers reach NATS."""
    join_secret: str | None = Field(
        default=None, pattern=r"^projects/[a-z0-9.:-]+/secrets/[A-Za-z0-9_-]+$"
    )
    """The secret (`projects/…/secrets/…`) whose newest version is the token that a worker shows to
    NATS; machines read it with their own account. Left out: SHOAL_JOIN_TOKEN, which then stands in
    the template's metadata."""
    python: str = "/opt/shoal/bin/python"
    """The interpreter on the image that has the worker."""
    notice: int = Field(default=120, ge=0)
    """Seconds of preemption notice asked for; where the API refuses it, it is left out."""
    subscription: str | None = None
    """Pub/Sub subscription that gets the audit log's preemptions: `projects/…/subscriptions/…`."""


class Ssh(Strict):
    """Machines that are there anyway."""

    hosts: str
    """Path of the file that lists them."""
    worker_nats_url: str
    """The address at which they reach NATS."""


class Pool(Strict):
    """One pool of machines that serve the same demand."""

    name: Id
    driver: Literal["local", "gcp", "ssh", "simulated"] = "local"
    mode: Literal["act", "observe"] = "act"
    """observe: say what would be done, and do nothing."""
    kinds: tuple[Kind, ...] = ()
    zones: tuple[str, ...] = ()
    provisioning: Literal["spot", "on_demand"] = "on_demand"
    fallback_after: float | None = Field(default=None, ge=0)
    """Seconds without spot machines after which the missing ones are bought on demand."""
    deadline_policy: Literal["none", "uniform_progress"] = "none"
    """How work with a deadline gets on-demand machines."""
    min_instances: int = Field(default=0, ge=0)
    max_instances: int = Field(default=2, ge=0)
    slots_per_instance: int = Field(default=2, ge=1)
    max_idle_period: float = Field(default=60.0, ge=0)
    """Seconds that a machine may idle before it is stopped."""
    max_starting_period: float = Field(default=120.0, gt=0)
    """Seconds from the request to the worker's joining; longer counts as a failure."""
    checkpoint_period: float = Field(default=300.0, gt=0)
    """Seconds between checkpoints, as expected: a preemption loses half of it."""
    budget: Budget = Budget()
    gcp: Gcp | None = None
    ssh: Ssh | None = None

    @property
    def its_kinds(self) -> tuple[Kind, ...]:
        """Its kinds of machines; one without a name if none is given."""
        return self.kinds or (Kind(machine_type=self.driver),)

    @property
    def its_zones(self) -> tuple[str, ...]:
        """Its zones; one if none is given."""
        return self.zones or (self.driver,)

    def slots_of(self, kind: Kind) -> int:
        """What a machine of a kind offers."""
        return kind.slots or kind.gpu_count or self.slots_per_instance

    def suits(self, kind: Kind, wish: str) -> bool:
        """Whether slots of a kind of machine will do for a `wish`: a driver's name of a GPU
        (`Tesla V100-SXM2-16GB`) or a word of it, and GB of memory. What a machine outside a cloud
        has is not known before it joins, unless its kind says it."""
        slot_type, memory = wished(wish)
        if memory and not self._remembers(kind, memory):
            return False
        if not slot_type or (kind.gpu is None and self.driver != "gcp"):
            return True
        if kind.gpu is None:
            return slot_type == "cpu"
        parts = kind.gpu.lower().split("-")
        model = next((part for part in parts if any(map(str.isdigit, part))), parts[-1])
        return model in re.split(r"[^a-z0-9]+", slot_type.lower())

    def _remembers(self, kind: Kind, memory: int) -> bool:
        known = kind.slot_memory or GPU_MEMORY.get(kind.gpu or "", 0)
        return known >= memory if known or self.driver == "gcp" else True

    def most_slots(self, wish: str) -> int:
        """What the pool offers of what is wished for at its largest."""
        fit = [self.slots_of(kind) for kind in self.its_kinds if self.suits(kind, wish)]
        return self.max_instances * max(fit, default=0)

    @model_validator(mode="after")
    def _sound(self) -> "Pool":
        if self.min_instances > self.max_instances:
            raise ValueError(
                f"min_instances ({self.min_instances}) must not exceed"
                f" max_instances ({self.max_instances})"
            )
        names = [kind.name for kind in self.kinds]
        if len(set(names)) != len(names):
            raise ValueError("two kinds have the same machine type and GPUs")
        if self.provisioning == "on_demand" and self.fallback_after is not None:
            raise ValueError("`fallback_after` is for pools with `provisioning: spot`")
        if self.provisioning == "on_demand" and self.deadline_policy != "none":
            raise ValueError("`deadline_policy` is for pools with `provisioning: spot`")
        if self.driver == "gcp":
            self._sound_gcp()
        if self.driver == "ssh" and self.ssh is None:
            raise ValueError("`driver: ssh` needs `ssh: {hosts, worker_nats_url}`")
        return self

    def _sound_gcp(self) -> None:
        if self.gcp is None:
            raise ValueError(
                "`driver: gcp` needs `gcp: {project, service_account, worker_nats_url}`"
            )
        if not self.kinds or not self.zones:
            raise ValueError("`driver: gcp` needs `kinds` and `zones`")
        if not _GCE_NAME.match(self.name):
            raise ValueError(
                f"the name {self.name!r} must be one for Compute Engine:"
                " small letters, digits and hyphens, at most 32"
            )
        for zone in self.zones:
            if not _ZONE.match(zone):
                raise ValueError(f"{zone!r} is no zone; expected something like us-central1-a")
            if self.gcp.subnetworks and zone.rpartition("-")[0] not in self.gcp.subnetworks:
                raise ValueError(f"`gcp.subnetworks` has none for the region of {zone}")
