"""What the provisioner's own shell tells its core: answers of the drivers."""

from pydantic import BaseModel


class MachineStarted(BaseModel, frozen=True):
    """The driver started a machine."""

    pool: str
    instance_id: str


class MachineFailed(BaseModel, frozen=True):
    """The driver could not start a machine."""

    pool: str
    instance_id: str
    reason: str


class MachineGone(BaseModel, frozen=True):
    """A machine does not run any more."""

    pool: str
    instance_id: str
    reason: str
