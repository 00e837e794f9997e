"""What a driver is: it starts and stops machines of one kind."""

from typing import Protocol


class StartError(RuntimeError):
    """A machine could not be started; the text says why."""


class Driver(Protocol):
    """Machines of one kind. All calls may be repeated: the instance id is the key."""

    async def start(self, pool: str, instance_id: str, slots: int) -> None:
        """Start a machine, unless it runs already or has run. Raises StartError."""
        ...

    async def stop(self, instance_id: str, grace: float) -> None:
        """End a machine: told first, forced after `grace` seconds. Returns when it is gone."""
        ...

    async def running(self) -> set[str]:
        """The ids of the machines that run."""
        ...
