"""Points that are spread evenly: the Halton sequence, each digit of which is permuted by chance.

As in Owen, "A randomized Halton algorithm in R" (2017), https://arxiv.org/abs/1706.02808. Any point
is computed by itself, so a trial's depends on the experiment's seed and the trial's number alone.
"""

import random
from functools import lru_cache
from itertools import count, islice
from math import isqrt, log2

DIGITS = 53
"""Binary digits of a float between 0 and 1."""
BELOW = 1 - 2.0**-DIGITS
"""The largest float below 1."""


class Point:
    """The `number`-th point of a sequence, read one coordinate after the other in the manner of
    `random.Random`: it can take its place where a configuration is drawn."""

    def __init__(self, seed: int, number: int) -> None:
        self._seed, self._number, self._read = seed, number, 0

    def random(self) -> float:
        """The next coordinate, in [0, 1)."""
        dimension, self._read = self._read, self._read + 1
        base, rest, found = _prime(dimension), self._number, 0.0
        for place in range(round(DIGITS / log2(base)) + 1):
            rest, digit = divmod(rest, base)
            found += _permutation(self._seed, base, place)[digit] / base ** (place + 1)
        return min(found, BELOW)

    def uniform(self, low: float, high: float) -> float:
        """The next coordinate, in [low, high)."""
        return low + (high - low) * self.random()

    def randrange(self, stop: int) -> int:
        """The next coordinate, as one of 0 to `stop` - 1."""
        return min(int(self.random() * stop), stop - 1)


@lru_cache(maxsize=10_000)
def _permutation(seed: int, base: int, place: int) -> tuple[int, ...]:
    """What each digit at a place becomes."""
    rng = random.Random(f"{seed}:{base}:{place}")  # noqa: S311 - reproducible, not secret
    return tuple(rng.sample(range(base), base))


@lru_cache(maxsize=1000)
def _prime(number: int) -> int:
    """The `number`-th prime, from 2 on: the base of a coordinate."""
    primes = (n for n in count(2) if all(n % d for d in range(2, isqrt(n) + 1)))
    return next(islice(primes, number, None))
