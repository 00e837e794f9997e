"""What the provisioner's own shell tells its core: answers of the drivers, and what clouds say."""

from pydantic import BaseModel

from shoal_contract.events.instance import Cause


class _OfMachine(BaseModel, frozen=True):
    pool: str
    instance_id: str


class MachineStarted(_OfMachine, frozen=True):
    """The driver started a machine."""


class MachineFailed(_OfMachine, frozen=True):
    """The driver could not start a machine."""

    reason: str
    cause: Cause = "other"


class MachineGone(_OfMachine, frozen=True):
    """A machine does not run any more."""

    reason: str
    preempted: bool = False


class MachinePreempted(_OfMachine, frozen=True):
    """The cloud takes a machine back. May be told by several ways, and often."""

    source: str


class MachineFound(_OfMachine, frozen=True):
    """A machine with our mark runs and is in no record."""

    kind: str = ""
    zone: str = ""
    spot: bool = False


class Obtainability(BaseModel, frozen=True):
    """What a cloud says of an offer. See ObtainabilityNoted."""

    pool: str
    offer: str
    obtainability: float
    uptime: float | None = None


class PoolsRead(BaseModel, frozen=True):
    """The description of the pools was read: the provisioner begins to serve them."""
