"""`Idempotency-Key`: a request that creates something may be sent again, and creates nothing more.

A key stands, for a day, for one request of one caller. Before anything is created, what all draws
of the request come from is kept under it: a repetition draws the same ids and tokens, so that the
streams recognise what was written already, whatever died in between. Afterwards the answer is kept,
too. All of it is sealed, since there are answers that are shown once: with the platform's key, or,
where there is none, with the `Idempotency-Key` itself.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from shoal_bus.sealing import Seal, SealError
from shoal_contract.parse import ConfigError
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.shell import writes
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.draws import Draws, new_seed
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError

REMEMBERED = 24 * 3600
"""Seconds for which a key is known."""
_PLACE = "idempotency"
_FORGET = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"
"""In Lua: take a key away, unless more is known of it meanwhile."""
Make = Callable[[Draws], Awaitable[Row]]


class Creation:
    """A request that creates something, with its key if it has one."""

    def __init__(self, use: Parts, who: Caller, route: str, key: str | None) -> None:
        self._use, self._who, self._route, self._key = use, who, route, key

    async def once(self, body: BaseModel, make: Make) -> Row:
        """The answer of `make`, which creates what is asked for; to a repetition, the first answer.

        Raises ProblemError (409) if the key was used for another request. If `make` refuses, the
        key may be used again.
        """
        if self._key is None:
            return await make(Draws())
        record = _Record(self._use, keys.idempotency(self._who.user, _sha256(self._key)), self._key)
        digest = _sha256(f"{self._route} {body.model_dump_json()}")
        mine: Row = {"digest": digest, "seed": new_seed(), "answer": None, "written": {}}
        found = await record.begin(mine)
        if found["digest"] != digest:
            raise _other()
        if found["answer"] is not None:
            writes.wrote_before(found["written"])
            return dict(found["answer"])
        try:
            answer = await make(Draws(found["seed"]))
        except (ProblemError, ConfigError):
            await record.forget()
            raise
        await record.keep(found | {"answer": answer, "written": writes.written()})
        return answer


class _Record:
    """What is kept of a key in Redis."""

    def __init__(self, use: Parts, name: str, key: str) -> None:
        self._redis, self._name = use.store.redis, name
        self._seal = use.seal or Seal(_sha256(f"{name} {key}"))
        self._first: str | None = None

    async def begin(self, mine: Row) -> Row:
        """What is kept; from now on that is `mine`, if there was nothing."""
        text = self._seal.close(_PLACE, self._name, json.dumps(mine))
        if await self._redis.set(self._name, text, nx=True, ex=REMEMBERED):
            self._first = text
            return mine
        found = await self._redis.get(self._name)
        if found is None:  # its day ended just now
            return await self.begin(mine)
        try:
            opened: Row = json.loads(self._seal.open(_PLACE, self._name, str(found)))
        except (SealError, ValueError) as error:
            raise _other() from error
        return opened

    async def keep(self, found: Row) -> None:
        """Keep an answer."""
        text = self._seal.close(_PLACE, self._name, json.dumps(found))
        await self._redis.set(self._name, text, ex=REMEMBERED)

    async def forget(self) -> None:
        """Forget what this request kept, if nobody has repeated it with success meanwhile."""
        if self._first is not None:
            await cast("Any", self._redis.eval(_FORGET, 1, self._name, self._first))


def creation(
    request: Request,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Creation:
    """The creation that a request asks for, as a dependency of its route."""
    return Creation(use, who, f"{request.method} {request.url.path}", idempotency_key)


def _other() -> ProblemError:
    detail = "This Idempotency-Key was used for another request. Choose a new one."
    return ProblemError(409, detail, kind="urn:shoal:problem:idempotency")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
