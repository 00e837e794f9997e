"""What was carried out of late, so that it is not carried out twice."""

from shoal_contract.envelope import Envelope
from shoal_contract.events.base import Event

REMEMBERED = 24 * 3600.0
"""Seconds for which a command is known."""


class Done:
    """The events of commands, by the commands' ids, as long as they are known."""

    def __init__(self) -> None:
        self._events: dict[str, tuple[float, list[Event]]] = {}

    def add(self, envelope: Envelope) -> None:
        """Take note of an event; what is `REMEMBERED` seconds older is forgotten."""
        if envelope.cause is not None:
            _, events = self._events.setdefault(envelope.cause, (envelope.time, []))
            events.append(envelope.event)
        while self._events:
            oldest = next(iter(self._events))
            if self._events[oldest][0] >= envelope.time - REMEMBERED:
                break
            del self._events[oldest]

    def of(self, id: str) -> list[Event] | None:
        """The events of a command; None: it was not carried out, as far as is known."""
        found = self._events.get(id)
        return None if found is None else list(found[1])
