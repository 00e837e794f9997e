"""Reading what one has just written, whichever gateway answers."""

import time
from collections.abc import Callable, Mapping

AFTER = "Shoal-After"
LAG = 60.0
"""Seconds after which any gateway shows what was written."""


class Freshness:
    """What a client has written of late. Its next requests say so, and are answered once reads show
    it; a gateway that cannot show it soon answers 503."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._position, self._until = clock, "", 0.0

    def note(self, headers: Mapping[str, str]) -> None:
        """Note where what was written stands, as an answer tells."""
        if position := headers.get(AFTER):
            now = self._clock()
            known = self._position if now < self._until else ""
            self._position, self._until = later(known, position), now + LAG

    @property
    def headers(self) -> dict[str, str]:
        """What the next request is to say."""
        return {AFTER: self._position} if self._clock() < self._until else {}


def later(one: str, other: str) -> str:
    """The position after both: the greater number of each stream.

    >>> later("3-0-7", "1-2")
    '3-2-7'
    """
    first, second = ([int(n) for n in text.split("-") if n] for text in (one, other))
    length = max(len(first), len(second))
    first, second = (numbers + [0] * (length - len(numbers)) for numbers in (first, second))
    return "-".join(str(max(pair)) for pair in zip(first, second, strict=True))
