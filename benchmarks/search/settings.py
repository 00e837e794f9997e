"""What every contender is told alike."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings."""

    seed: int
    workers: int
    divisor: int
    """The reduction factor: about one in so many goes on at a rung."""
    trials: int
    """At most so many new trials."""
