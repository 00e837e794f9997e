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
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from shoal_bus import memory
from shoal_bus.sealing import Seal, SealError
from shoal_contract.parse import ConfigError
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.shell import writes
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.draws import Draws, new_seed
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError

_PLACE = "idempotency"
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
        record = _Record(self._use, self._who, self._key)
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
    """What is kept of a key."""

    def __init__(self, use: Parts, who: Caller, key: str) -> None:
        self._bus, self._name = use.bus, _sha256(f"{who.user} {_sha256(key)}")
        self._seal = use.seal or Seal(_sha256(f"{self._name} {key}"))
        self._first: int | None = None

    async def begin(self, mine: Row) -> Row:
        """What is kept; from now on that is `mine`, if there was nothing."""
        while True:
            self._first = await memory.claim(self._bus, self._name, self._closed(mine))
            if self._first is not None:
                return mine
            if (kept := await memory.recall(self._bus, self._name)) is not None:
                return self._opened(kept)
            # Its day ended just now, or it was refused.

    async def keep(self, found: Row) -> None:
        """Keep an answer. If it is too large for that, a repetition draws the same once more, and
        finds it there."""
        await memory.remember(self._bus, self._name, self._closed(found))

    async def forget(self) -> None:
        """Forget what this request kept, if nobody has repeated it with success meanwhile."""
        if self._first is not None:
            await memory.forget(self._bus, self._name, self._first)

    def _opened(self, kept: bytes) -> Row:
        try:
            found: Row = json.loads(self._seal.open(_PLACE, self._name, kept.decode()))
        except (SealError, ValueError) as error:
            raise _other() from error
        return found

    def _closed(self, found: Row) -> bytes:
        return self._seal.close(_PLACE, self._name, json.dumps(found)).encode()


def creation(
    request: Request,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Creation:
    """The creation that a request asks for, as a dependency of its route."""
    return Creation(use, who, f"{request.method} {request.url.path}", idempotency_key)


def _other() -> ProblemError:
    detail = "This Idempotency-Key was used for another request. Choose a new one."
    return ProblemError(409, detail, kind="urn:shoal:problem:idempotency")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
