"""The read models in Redis: changes are carried out by one script, all or nothing."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shoal_gateway.core import keys
from shoal_gateway.core.changes import (
    AddToIndex,
    Append,
    Change,
    Forget,
    Increment,
    KeepBest,
    RemoveField,
    RemoveFromIndex,
    SetCounted,
    SetFields,
)
from shoal_gateway.core.rows import Row

# KEYS[1]: the applied sequence. ARGV: the expected one, the new one, the commands as JSON.
# Returns the applied sequence, which is the new one only if the expected one was found.
_APPLY = """
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at ~= tonumber(ARGV[1]) then return at end
for _, command in ipairs(cjson.decode(ARGV[3])) do
  if command[1] == 'BEST' then
    local old = redis.call('HGET', command[2], command[3])
    local metric = tonumber(command[4])
    local better = not old
    if old then
      local kept = tonumber(cjson.decode(old)['metric'])
      if command[5] == 'min' then better = metric < kept else better = metric > kept end
    end
    if better then redis.call('HSET', command[2], command[3], command[6]) end
  elseif command[1] == 'COUNTED' then
    local old = redis.call('HGET', command[2], command[4])
    if old ~= command[5] then
      redis.call('HSET', command[2], command[4], command[5])
      redis.call('HINCRBY', command[3], command[5], 1)
      if old then redis.call('HINCRBY', command[3], old, -1) end
    end
  else
    redis.call(unpack(command))
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return tonumber(ARGV[2])
"""
_CLEAR = """
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end
until cursor == '0'
"""


class RedisStore:
    """Reads of rows, and the application of changes.

    Read models have a generation, which is a part of their names in Redis: while one is read, the
    next can be filled (see `rebuild`).
    """

    def __init__(self, url: str, generation: int = 0) -> None:
        self.redis: Redis = connect(url, texts=True)
        self.bytes: Redis = connect(url, texts=False)
        """The same, for what is no text."""
        self.generation = generation
        self._script = self.redis.register_script(_APPLY)
        self._wipe = self.redis.register_script(_CLEAR)

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
        await self.bytes.aclose()

    def named(self, key: str) -> str:
        """What a key of the read models is called in Redis."""
        return f"{keys.PREFIX}{self.generation}:{key.removeprefix(keys.PREFIX)}"

    async def current(self) -> int:
        """The generation that is to be read now."""
        return int(await self.redis.get(keys.GENERATION) or 0)

    async def applied(self, stream: str) -> int:
        """The sequence of the last event of a stream that is in the read models; 0: none is."""
        return int(await self.redis.get(self.named(keys.applied(stream))) or 0)

    async def apply(self, stream: str, expected: int, new: int, changes: Iterable[Change]) -> int:
        """Carry changes out if `expected` is the applied sequence, which then becomes `new`.

        Returns the applied sequence, which differs from `new` when nothing was done.
        """
        listed = [c for change in changes for c in _commands(change)]
        for command in listed:
            command[1] = self.named(command[1])
            if command[0] == "COUNTED":
                command[2] = self.named(command[2])
        key = self.named(keys.applied(stream))
        found = await self._script(keys=[key], args=[expected, new, json.dumps(listed)])
        return int(cast("Any", found))

    async def clear(self) -> None:
        """Forget all read models of this generation, at once."""
        await self._wipe(args=[self.named("*")])

    async def row(self, key: str) -> Row:
        """The fields of one row; empty if there is none."""
        return (await self.rows([key]))[0]

    async def rows(self, names: Sequence[str]) -> list[Row]:
        """The fields of several rows, in their order."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self.named(name))
            found = await pipe.execute() if names else []
        return [{name: json.loads(text) for name, text in row.items()} for row in found]

    async def columns(self, names: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Some fields of several rows, in their order; those that are not there are left out."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(self.named(name), list(fields))
            found = await pipe.execute() if names else []
        return [
            {f: json.loads(text) for f, text in zip(fields, texts, strict=True) if text is not None}
            for texts in found
        ]

    async def field(self, key: str, name: str) -> Any:
        """One field of a row; None if it is not there."""
        text = await cast("Any", self.redis.hget(self.named(key), name))
        return None if text is None else json.loads(text)

    async def members(self, index: str) -> list[str]:
        """The members of an index, by score."""
        return cast("list[str]", await self.redis.zrange(self.named(index), 0, -1))

    async def page(self, index: str, limit: int, after: str | None) -> list[str] | None:
        """Members from the greatest score down, after one of them; None if it is not there."""
        first = 0
        if after is not None:
            rank = await self.redis.zrevrank(self.named(index), after)
            if rank is None:
                return None
            first = int(cast("Any", rank)) + 1
        found = await self.redis.zrevrange(self.named(index), first, first + limit - 1)
        return cast("list[str]", found)

    async def items(self, names: Sequence[str]) -> list[list[Any]]:
        """Several lists, in their order."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.lrange(self.named(name), 0, -1)
            found = await pipe.execute() if names else []
        return [[json.loads(text) for text in texts] for texts in found]


def connect(url: str, *, texts: bool) -> Redis:
    """A client that gives up after one repetition. `texts`: answers are str, else bytes."""
    return Redis.from_url(
        url,
        decode_responses=texts,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1),
    )


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _commands(change: Change) -> list[list[str]]:
    match change:
        case SetFields():
            pairs = [t for name, value in change.fields.items() for t in (name, _text(value))]
            return [["HSET", change.key, *pairs]]
        case RemoveField():
            return [["HDEL", change.key, change.field]]
        case Increment():
            return [["HINCRBYFLOAT", change.key, change.field, repr(change.by)]]
        case KeepBest():
            order = "min" if change.smaller else "max"
            value = _text(change.value | {"metric": change.metric})
            return [["BEST", change.key, change.field, repr(change.metric), order, value]]
        case SetCounted():
            return [["COUNTED", change.key, change.counts, change.field, change.text]]
        case AddToIndex():
            return [["ZADD", change.index, repr(change.score), change.member]]
        case RemoveFromIndex():
            return [["ZREM", change.index, change.member]]
        case Forget():
            return [["UNLINK", key] for key in change.keys]
        case Append():
            commands = [["RPUSH", change.key, _text(change.item)]]
            if change.keep:
                commands.append(["LTRIM", change.key, str(-change.keep), "-1"])
            return commands
