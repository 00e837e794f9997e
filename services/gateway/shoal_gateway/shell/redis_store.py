"""The read models in Redis: changes are carried out by one script, all or nothing."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shoal_gateway.core import keys
from shoal_gateway.core.belongings import ANY, EXPERIMENT, TRACKED_EXPERIMENT
from shoal_gateway.core.changes import (
    AddToIndex,
    Append,
    Change,
    Delete,
    Increment,
    KeepBest,
    Of,
    RemoveField,
    SetCounted,
    SetFields,
)
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.scripts import APPLY, CLEAR, MARK, READ


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
        self._script = self.redis.register_script(APPLY)
        self._wipe = self.redis.register_script(CLEAR)
        self._mark = self.redis.register_script(MARK)
        self._read = self.redis.register_script(READ)

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

    async def make_current(self, folders: Mapping[str, Mapping[str, Any]]) -> None:
        """Let this generation be read from now on. `folders`: by stream, where the files of points
        are that were written with it, if they were."""
        async with self.redis.pipeline(transaction=True) as pipe:
            if folders:
                texts: dict[Any, Any] = {
                    name: json.dumps(folder) for name, folder in folders.items()
                }
                pipe.hset(self.named(keys.FOLDERS), mapping=texts)
            pipe.set(keys.GENERATION, self.generation)
            await pipe.execute()

    async def folder(self, stream: str) -> Row | None:
        """Where the files of a stream's points are, if they were written with this generation."""
        found: Row | None = await self.field(keys.FOLDERS, stream)
        return found

    async def clear_others(self) -> None:
        """Forget the read models of all generations but this one."""
        own, cursor = self.named(""), 0
        while True:
            page: Any = await self.redis.scan(cursor, f"{keys.PREFIX}[0-9]*:*", 1000)
            cursor, found = page
            if others := [key for key in found if not key.startswith(own)]:
                await self.redis.unlink(*others)
            if cursor == 0:
                return

    async def applied(self, stream: str) -> int:
        """The sequence of the last event of a stream that is in the read models; 0: none is."""
        return int(await self.redis.get(self.named(keys.applied(stream))) or 0)

    async def apply(
        self, stream: str, expected: int, new: int, changes: Iterable[Change | Of]
    ) -> int:
        """Carry changes out if `expected` is the applied sequence, which then becomes `new`.

        Returns the applied sequence, which differs from `new` when nothing was done; -1 while it
        is not known (see `know_deleted`) which experiments were deleted.
        """
        listed = [c for change in changes for c in _commands(change, self.named)]
        names = [self.named(keys.applied(stream)), self.named(keys.DELETED)]
        found = await self._script(keys=names, args=[expected, new, json.dumps(listed)])
        return int(cast("Any", found))

    async def knows_deleted(self) -> bool:
        """Whether it is known which experiments were deleted."""
        return await self.redis.zscore(self.named(keys.DELETED), "") is not None

    async def know_deleted(self, names: Iterable[str]) -> None:
        """Note that these experiments were deleted, and that no others were before."""
        await self._mark(keys=[self.named(keys.DELETED)], args=list(names))

    async def deleted(self, after: int = 0) -> list[str]:
        """The experiments that were deleted, but for so many that were at first."""
        found = await self.redis.zrange(self.named(keys.DELETED), after + 1, -1)
        return cast("list[str]", found)

    async def deleted_among(self, names: Sequence[str]) -> list[str]:
        """Those of some experiments that were deleted."""
        if not names:
            return []
        found = await self.redis.zmscore(self.named(keys.DELETED), list(names))
        return [name for name, n in zip(names, cast("Any", found), strict=True) if n is not None]

    async def clear(self) -> None:
        """Forget all read models of this generation, at once."""
        await self._wipe(args=[self.named("*")])

    async def row(self, key: str) -> Row:
        """The fields of one row; empty if there is none."""
        return (await self.rows([key]))[0]

    async def rows(self, names: Sequence[str]) -> list[Row]:
        """The fields of several rows, in their order."""
        rows = []
        for row in await self._hashes(names):
            each = iter(row)
            rows.append({name: _decode(text) for name, text in zip(each, each, strict=True)})
        return rows

    async def columns(self, names: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Some fields of several rows, in their order; those that are not there are left out."""
        return [
            {f: _decode(text) for f, text in zip(fields, texts, strict=True) if text is not None}
            for texts in await self._hashes(names, fields)
        ]

    async def _hashes(self, names: Sequence[str], fields: Sequence[str] = ()) -> Any:
        """What some hashes have: all, each field before its value, or some fields."""
        return await self._read([*map(self.named, names)], list(fields)) if names else []

    async def field(self, key: str, name: str) -> Any:
        """One field of a row; None if it is not there."""
        text = await cast("Any", self.redis.hget(self.named(key), name))
        return None if text is None else _decode(text)

    async def members(self, index: str) -> list[str]:
        """The members of an index, by score."""
        return cast("list[str]", await self.redis.zrange(self.named(index), 0, -1))

    async def scores(self, index: str) -> list[tuple[float, str]]:
        """The members of an index with their scores, by these."""
        found = await self.redis.zrange(self.named(index), 0, -1, withscores=True)
        return [(float(score), str(member)) for member, score in cast("Any", found)]

    async def page(
        self,
        index: str,
        limit: int | None,
        after: tuple[float, str] | None,
        *,
        descending: bool = False,
    ) -> list[tuple[float, str]]:
        """Members with their scores, by these: after a place, whether or not a member is
        there. `limit` None: all."""
        least, greatest, name = "-inf", "+inf", self.named(index)
        most = -1 if limit is None else limit
        async with self.redis.pipeline(transaction=True) as pipe:
            if after is not None:
                pipe.zrangebyscore(name, after[0], after[0])
                least, greatest = (
                    (least, f"({after[0]!r}") if descending else (f"({after[0]!r}", greatest)
                )
            if descending:
                pipe.zrevrangebyscore(name, greatest, least, 0, most, withscores=True)
            else:
                pipe.zrangebyscore(name, least, greatest, 0, most, withscores=True)
            *ties, others = await pipe.execute()
        found = [(float(score), str(member)) for member, score in others]
        if after is not None:
            same = [(after[0], str(member)) for member in ties[0]]
            same = [p for p in same if (p < after if descending else p > after)]
            found = [*sorted(same, reverse=descending), *found]
        return found[:limit]

    async def items(self, names: Sequence[str]) -> list[list[Any]]:
        """Several lists, in their order."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.lrange(self.named(name), 0, -1)
            found = await pipe.execute() if names else []
        return [[_decode(text) for text in texts] for texts in found]


def connect(url: str, *, texts: bool) -> Redis:
    """A client that gives up after one repetition. `texts`: answers are str, else bytes."""
    return Redis.from_url(
        url,
        decode_responses=texts,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1),
    )


_decode = msgspec.json.Decoder().decode


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


Names = Callable[[str], str]


def _commands(change: Change | Of, named: Names) -> list[list[Any]]:
    """A change as commands of the script `APPLY`."""
    if isinstance(change, Of):
        return [[change.experiment_id, *c] for c in _plain(change.change, named)]
    return [["", *c] for c in _plain(change, named)]


def _plain(change: Change, named: Names) -> list[list[Any]]:
    match change:
        case SetFields():
            pairs = [t for name, value in change.fields.items() for t in (name, _text(value))]
            return [["HSET", named(change.key), *pairs]]
        case RemoveField():
            return [["HDEL", named(change.key), change.field]]
        case Increment():
            return [["HINCRBYFLOAT", named(change.key), change.field, repr(change.by)]]
        case KeepBest():
            order = "min" if change.smaller else "max"
            value = _text(change.value | {"metric": change.metric})
            key, metric = named(change.key), repr(change.metric)
            return [["BEST", key, change.field, metric, order, value]]
        case SetCounted():
            key, counts = named(change.key), named(change.counts)
            return [["COUNTED", key, counts, change.field, change.text]]
        case AddToIndex():
            return [["ZADD", named(change.index), repr(change.score), change.member]]
        case Append():
            commands: list[list[Any]] = [["RPUSH", named(change.key), _text(change.item)]]
            if change.keep:
                commands.append(["LTRIM", named(change.key), str(-change.keep), "-1"])
            return commands
        case Delete():
            return [["DELETE", _belongings(named), change.experiment_id, list(change.trial_ids)]]


def _belongings(named: Names) -> dict[str, Any]:
    """What goes with an experiment, and with those of MLflow's kind within it."""
    found, tracked = (
        {
            name: named(value) if isinstance(value, str) else [named(v) for v in value]
            for name, value in asdict(kind).items()
        }
        for kind in (EXPERIMENT, TRACKED_EXPERIMENT)
    )
    return found | {"within": named(keys.tracked_within(ANY)), "tracked": tracked}
