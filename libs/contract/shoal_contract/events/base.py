"""What an event is, and the register of all of them."""

from typing import Any, ClassVar

from shoal_contract.base import Frozen

REGISTER: dict[str, type["Event"]] = {}
"""Event type (`trial.requested`) to its class."""


class Event(Frozen):
    """Something that happened, in the past tense, written by one service.

    A subclass names its `type` (`noun.verb`) and the fields that make the last tokens of its
    subject: `class TrialPaused(Event, type="trial.paused", key=("experiment_id", "trial_id"))`.
    """

    type: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    def __init_subclass__(
        cls, type: str | None = None, key: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if type is not None:
            if type in REGISTER:
                raise TypeError(f"two events claim the type {type!r}")
            cls.type, cls.key = type, key
            REGISTER[type] = cls

    @property
    def key_values(self) -> tuple[str, ...]:
        """The ids that this event's subject ends with."""
        return tuple(str(getattr(self, name)) for name in self.key)
