"""What a driver is: it starts, lists and stops machines of one sort.

`tests/laws/driver_laws.py` is the contract as a suite that every driver passes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal_contract.events.instance import Cause


@dataclass(frozen=True, slots=True)
class Order:
    """A machine that is to start. Its id is the key: the same order twice makes one machine."""

    pool: str
    instance_id: str
    slots: int
    kind: str = ""
    """As in the pool's description."""
    zone: str = ""
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with our mark that is there."""

    pool: str
    instance_id: str
    kind: str = ""
    zone: str = ""
    spot: bool = False
    preempted: bool = False
    """The cloud is taking it back, or has."""


class StartError(RuntimeError):
    """A machine could not be started; the text says why, `cause` who can do something about it."""

    def __init__(self, text: str, cause: Cause = "other") -> None:
        super().__init__(text)
        self.cause: Cause = cause


class Driver(Protocol):
    """Machines of one sort. All calls may be repeated."""

    poll: float
    """Seconds between two looks at what is there."""

    async def start(self, orders: Sequence[Order]) -> Mapping[str, StartError]:
        """Start machines of one pool, kind and zone, in one go. Those that are there are left as
        they are; those that were there are not started again. Returns what could not be started.
        """
        ...

    async def stop(self, instance_id: str, zone: str, grace: float, *, told: bool = False) -> None:
        """End a machine: told first (unless its cloud has `told` it), forced after `grace` seconds.
        Returns when it is gone, or as good as gone."""
        ...

    async def machines(self) -> list[Machine]:
        """All that are there and have our mark."""
        ...

    async def was_preempted(self, instance_id: str, zone: str) -> bool:
        """Whether a machine that is gone was taken back by its cloud."""
        ...
