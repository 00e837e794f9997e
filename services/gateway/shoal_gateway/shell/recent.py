"""The newest metric points in Redis, until they are in files."""

from collections.abc import Iterable
from typing import Any, cast

from shoal_contract.subjects import Stream
from shoal_gateway.core import keys
from shoal_gateway.shell.redis_store import RedisStore

# KEYS: the applied sequence, bytes by experiment, the deleted experiments. ARGV: the expected
# sequence, the new one, how lists are called, then each experiment with its block. Returns the
# applied sequence; -1 while it is not known which experiments were deleted.
_APPEND = """
if not redis.call('ZSCORE', KEYS[3], '') then return -1 end
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at ~= tonumber(ARGV[1]) then return at end
for i = 4, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[3], ARGV[i]) then
    redis.call('RPUSH', ARGV[3] .. ARGV[i], ARGV[i + 1])
    redis.call('HINCRBY', KEYS[2], ARGV[i], #ARGV[i + 1])
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return tonumber(ARGV[2])
"""
# KEYS: the list, bytes by experiment, the filed sequences, the deleted experiments. ARGV: the
# experiment, the sequence up to which its points are filed, how many blocks to look at. Returns
# how many were dropped.
_DROP = """
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then return 0 end
local dropped, freed, through = 0, 0, tonumber(ARGV[2])
while dropped < tonumber(ARGV[3]) do
  local block = redis.call('LINDEX', KEYS[1], 0)
  if not block or struct.unpack('>I8', block) > through then break end
  redis.call('LPOP', KEYS[1])
  dropped, freed = dropped + 1, freed + #block
end
if redis.call('HINCRBY', KEYS[2], ARGV[1], -freed) <= 0 then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
if tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0') < through then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
end
return dropped
"""
_AT_ONCE = 256
"""Blocks that one script drops, since nobody else is served meanwhile."""


class Recent:
    """Blocks of points (see `core.history.blocks`), a list for each experiment and stream."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._append = store.bytes.register_script(_APPEND)
        self._drop = store.bytes.register_script(_DROP)

    async def append(
        self, stream: Stream, expected: int, new: int, blocks: Iterable[tuple[str, bytes]]
    ) -> int:
        """As `RedisStore.apply`, for the blocks of experiments."""
        named, name = self._store.named, stream.name
        flat = [part for experiment in blocks for part in experiment]
        found = await self._append(
            keys=[
                named(keys.applied(name)),
                named(keys.points_held(name)),
                named(keys.DELETED),
            ],
            args=[expected, new, named(keys.points(name)), *flat],
        )
        return int(cast("Any", found))

    async def read(self, stream: Stream, experiment_id: str) -> tuple[list[bytes], int, int]:
        """The blocks of an experiment, oldest first; the sequence up to which there are files
        instead; and the applied one, up to which nothing is missing. All of one moment."""
        named, name = self._store.named, stream.name
        async with self._store.bytes.pipeline(transaction=True) as pipe:
            pipe.lrange(named(keys.points(name, experiment_id)), 0, -1)
            pipe.hget(named(keys.points_filed(name)), experiment_id)
            pipe.get(named(keys.applied(name)))
            blocks, filed, applied = await pipe.execute()
        return blocks, int(filed or 0), int(applied or 0)

    async def held(self, stream: Stream) -> tuple[dict[str, int], int]:
        """How many bytes the blocks of each experiment have, those without any left out; and the
        applied sequence. Both of one moment."""
        named, name = self._store.named, stream.name
        async with self._store.redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(named(keys.points_held(name)))
            pipe.get(named(keys.applied(name)))
            sizes, applied = await pipe.execute()
        return {e: int(n) for e, n in sizes.items()}, int(applied or 0)

    async def drop(self, stream: Stream, experiment_id: str, through: int) -> None:
        """Forget the points up to a sequence: they are in files."""
        named, name = self._store.named, stream.name
        names = [
            named(keys.points(name, experiment_id)),
            named(keys.points_held(name)),
            named(keys.points_filed(name)),
            named(keys.DELETED),
        ]
        while await self._drop(keys=names, args=[experiment_id, through, _AT_ONCE]) == _AT_ONCE:
            pass
