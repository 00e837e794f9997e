"""How often one may ask: a generic cell rate limiter in Redis, shared by all replicas.

https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
"""

import math
from typing import Any, cast

from redis.asyncio import Redis

from shoal_gateway.core import keys
from shoal_gateway.shell.problems import ProblemError

# KEYS[1]: when the bucket will be empty again. ARGV: milliseconds between two requests, and how
# many may come at once. Returns the milliseconds to wait; 0: go ahead.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local gap, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local early = at + gap - now - gap * burst
if early > 0 then return math.ceil(early) end
redis.call('SET', KEYS[1], string.format('%.3f', at + gap), 'PX', math.ceil(at + gap - now) + 1)
return 0
"""


class Limit:
    """So many requests a second for each name, and so many at once."""

    def __init__(self, redis: Redis, kind: str, rate: float, burst: int) -> None:
        self._kind, self._rate, self._burst = kind, rate, burst
        self._take = redis.register_script(_TAKE)

    async def take(self, name: str) -> None:
        """Count a request. Raises ProblemError (429) for one too many, and RedisError."""
        key = keys.limit(self._kind, name)
        wait = int(cast("Any", await self._take(keys=[key], args=[1000 / self._rate, self._burst])))
        if wait > 0:
            seconds = max(1, math.ceil(wait / 1000))
            raise ProblemError(
                429,
                f"Too many requests. Wait {seconds} s.",
                kind="urn:shoal:problem:rate",
                headers={"Retry-After": str(seconds)},
            )
