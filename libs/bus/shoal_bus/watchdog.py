"""Who has been silent for too long. Pure: it is told the time."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Watchdog:
    """Remembers when each key was last heard.

    Nobody is silent because we were deaf: when `silent` was not asked for longer than half the
    time-out (we stood still), or after `forgive` (NATS was away), all count as just heard.
    """

    timeout: float
    """Seconds."""
    _heard: dict[str, tuple[str, float]] = field(default_factory=dict)
    _asked: float | None = None

    def seen(self, key: str, incarnation: str, monotonic: float) -> bool:
        """A sign of life; returns whether `key` is a new life: unknown, or another incarnation."""
        known = self._heard.get(key)
        self._heard[key] = (incarnation, monotonic)
        return known is None or known[0] != incarnation

    def forget(self, key: str) -> None:
        """Watch a key no longer."""
        self._heard.pop(key, None)

    def forgive(self, monotonic: float) -> None:
        """All count as just heard: we could not listen."""
        for key, (incarnation, _) in self._heard.items():
            self._heard[key] = (incarnation, monotonic)

    def silent(self, monotonic: float) -> list[tuple[str, str]]:
        """Key and incarnation of all not heard for longer than the time-out, oldest key first.

        To be asked regularly, at least twice in a time-out. A silent key is named again each time
        until it is heard or forgotten.
        """
        if self._asked is not None and monotonic - self._asked > self.timeout / 2:
            self.forgive(monotonic)
        self._asked = monotonic
        return [
            (key, incarnation)
            for key, (incarnation, heard) in self._heard.items()
            if monotonic - heard > self.timeout
        ]
